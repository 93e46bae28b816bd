"""Film of every kind shows the right picture at each time, and only a damaged one counts as damaged."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from attrs import frozen
from av.video.reformatter import Colorspace
from quadrants import SIZE, draw, has_encoder, measure_error, write

from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.video.film import Film

NTSC = Fraction(30_000, 1001)
SD, PAL, HD = (720, 480), (720, 576), (1920, 1080)
FEW = 12
"""Frames of a large film."""
MILLI = Fraction(1, 1000)


@frozen(kw_only=True)
class Kind:
    """A film to be written."""

    name: str
    codec: str = "libx264"
    frames: int = 25
    rate: Fraction = Fraction(25)
    error: float = 9.0
    """By how much its coding may change a colour."""
    shown: tuple[int, int]
    """Its size with square pixels."""
    settings: dict


def kind(
    name, codec="libx264", *, error=9.0, frames=25, rate=25, size=SIZE, shown=None, **settings
):
    return Kind(
        name=name,
        codec=codec,
        error=error,
        frames=frames,
        rate=Fraction(rate),
        shown=shown or size,
        settings={"size": size, **settings},
    )


def woven(name, codec, *, top, size, **settings):
    """Describe a film that is coded as two fields a frame."""
    if codec == "libx264":
        settings |= {"x264-params": "tff=1" if top else "bff=1", "preset": "ultrafast"}
    else:
        settings |= {"field_order": "tt" if top else "bb", "q": "3"}
    if size == HD:
        settings |= {"encode": encode_hd}
    rate = NTSC if size == SD else 25
    return kind(name, codec, frames=FEW, rate=rate, size=size, flags="+ilme+ildct", **settings)


def encode_hd(picture):
    """Encode a picture as players expect of HD whose matrix is not named."""
    frame = av.VideoFrame.from_ndarray(picture)
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)


INTERLACED = [
    *(
        woven(
            f"mpeg2-{lines}i-{'top' if top else 'bottom'}.{suffix}",
            "mpeg2video",
            top=top,
            size=size,
        )
        for lines, size, suffix in ((480, SD, "mpg"), (1080, HD, "ts"))
        for top in (True, False)
    ),
    *(
        woven(f"h264-{lines}i-{'top' if top else 'bottom'}.{suffix}", "libx264", top=top, size=size)
        for lines, size, suffix in ((480, SD, "mkv"), (1080, HD, "mp4"))
        for top in (True, False)
    ),
    kind(
        "camcorder-480i.dv",
        "dvvideo",
        frames=FEW,
        rate=NTSC,
        size=SD,
        shown=(640, 480),
        pixels="yuv411p",
    ),
    kind("camcorder-576i.avi", "dvvideo", frames=FEW, size=PAL, shown=(768, 576)),
]
X265 = {"x265-params": "log-level=none"}
VPX = {"deadline": "realtime", "cpu-used": "8"}
AV1 = {"preset": "8", "crf": "20", "svtav1-params": "enable-tf=0:scd=1"}
PROGRESSIVE = [
    kind("h264.mp4"),
    kind("h264-10-bit.mp4", pixels="yuv420p10le"),
    kind("h264-422.mkv", pixels="yuv422p"),
    kind("h264-444.mp4", pixels="yuv444p"),
    kind("h264-full-range.mp4", pixels="yuvj420p"),
    kind("h264-480p.mp4", frames=FEW, rate=NTSC, size=SD, preset="ultrafast"),
    kind("hevc.mp4", "libx265", **X265),
    kind("hevc-10-bit.mkv", "libx265", pixels="yuv420p10le", **X265),
    kind("hevc-12-bit.mp4", "libx265", pixels="yuv422p12le", **X265),
    kind("vp8.webm", "libvpx", **VPX),
    kind("vp9.webm", "libvpx-vp9", **VPX),
    kind("vp9-alpha.webm", "libvpx-vp9", pixels="yuva420p", **VPX),
    kind("av1.mp4", "libsvtav1", **AV1),
    kind("av1-10-bit.mkv", "libsvtav1", pixels="yuv420p10le", **AV1),
    kind("prores.mov", "prores_ks", pixels="yuv422p10le"),
    kind("prores-alpha.mov", "prores_ks", pixels="yuva444p10le"),
    kind("mjpeg.avi", "mjpeg", pixels="yuvj420p"),
    kind("mjpeg.mov", "mjpeg", pixels="yuvj422p"),
    kind("mpeg2.mpg", "mpeg2video", q="3"),
    kind("mpeg4.avi", "mpeg4", bf="2", q="3"),
    kind("wmv2.wmv", "wmv2", tick=MILLI, q="3"),
    kind("flash.flv", "flv", tick=MILLI, q="3"),
    kind("mpeg2.mxf", "mpeg2video", q="3"),
    kind("av1.ivf", "libsvtav1", **AV1),
    kind("cineform.mov", "cfhd", pixels="yuv422p10le"),
    kind("huffyuv.avi", "huffyuv", pixels="yuv422p"),
    kind("ffv1-16-bit.mkv", "ffv1", pixels="yuv420p16le"),
    kind("animation.mov", "qtrle", pixels="argb"),
    kind("moving.gif", "gif", rate=10, frames=10, pixels="rgb8", error=20),
    kind("odd.mkv", "ffv1", pixels="yuv420p", size=(321, 179)),
    kind("odd.webm", "libvpx-vp9", size=(321, 179), **VPX),
    kind("odd.avi", "mjpeg", pixels="yuvj420p", size=(321, 179)),
    kind("odd.mp4", "mpeg4", size=(321, 179), q="3"),
]
KINDS = INTERLACED + PROGRESSIVE


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    """Write a film of a kind once; skip where this FFmpeg has no encoder for it."""
    folder, made = tmp_path_factory.mktemp("kinds"), {}

    def find(one):
        if not has_encoder(one.codec):
            pytest.skip(f"this FFmpeg has no encoder {one.codec}")
        if one.name not in made:
            times = [at / one.rate for at in range(one.frames)]
            made[one.name] = write(
                folder / one.name, one.codec, rate=one.rate, times=times, **one.settings
            )
        return made[one.name]

    return find


def read(path, rate=1000):
    """Read a film to its end; return it and its frames."""
    with Film.open(path) as film:
        return film, list(film.frames(rate, longest=360))


def check_halves(film, frames, *, error=9.0):
    """Check that each frame shows what is shown at its time."""
    middle = film.start + film.duration / 2
    for frame in frames:
        assert measure_error(frame.picture, int(frame.time > middle - 0.015)) < error


@pytest.mark.parametrize("one", KINDS, ids=lambda one: one.name)
def test_every_frame_shows_what_its_time_says(one, make):
    """Colours are right at four places of each frame; duration, size, rate and count are the file's."""
    film, frames = read(make(one))

    assert (film.width, film.height) == one.shown
    assert film.decoded == len(frames) == one.frames
    assert film.rate == pytest.approx(float(one.rate), rel=0.001)
    assert film.duration == pytest.approx(one.frames / float(one.rate), abs=0.003)
    assert (film.start, film.complete) == (pytest.approx(0), True)
    check_halves(film, frames, error=one.error)


@pytest.mark.parametrize("one", KINDS, ids=lambda one: one.name)
def test_samples_are_those_of_a_full_decoding(one, make):
    """Frames that need not be decoded are counted, and change no other."""
    whole, frames = read(make(one))
    film, samples = read(make(one), rate=8)

    first = {int(frame.time * 8 + 0.008): frame for frame in reversed(frames)}
    assert [sample.time for sample in samples] == sorted(frame.time for frame in first.values())
    for sample, frame in zip(samples, reversed(first.values()), strict=True):
        assert np.array_equal(sample.picture, frame.picture)
    assert (film.decoded, film.duration, film.rate) == (whole.decoded, whole.duration, whole.rate)
    assert film.complete


@pytest.mark.parametrize("one", INTERLACED, ids=lambda one: one.name)
def test_interlaced_films_are_interlaced(one, make):
    """Otherwise the tests above would prove nothing."""
    with av.open(str(make(one))) as film:
        assert next(film.decode(video=0)).interlaced_frame


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_uneven_frames_keep_their_times(tmp_path, suffix):
    """Ten slow frames, then fifty quick ones."""
    times = [Fraction(at, 10) for at in range(10)] + [1 + Fraction(at, 50) for at in range(50)]
    codec = "libvpx" if suffix == "webm" else "libx264"
    film, frames = read(write(tmp_path / f"uneven.{suffix}", codec, times=times, tick=MILLI))

    assert [frame.time for frame in frames] == pytest.approx([float(time) for time in times])
    assert (film.duration, film.rate) == (pytest.approx(2.0, abs=0.002), pytest.approx(30))
    for at, frame in enumerate(frames):
        assert measure_error(frame.picture, int(at >= 30)) < 9


ONE_FRAME = [
    ("one.mp4", "libx264", "yuv420p"),
    ("one.mkv", "libx264", "yuv420p"),
    ("one.webm", "libvpx-vp9", "yuv420p"),
    ("one.avi", "mjpeg", "yuvj420p"),
    ("one.mov", "prores_ks", "yuv422p10le"),
    ("one.flv", "libx264", "yuv420p"),
]


@pytest.mark.parametrize(("name", "codec", "pixels"), ONE_FRAME)
def test_film_of_one_frame_shows_it(tmp_path, name, codec, pixels):
    """It lasts as long as its rate says."""
    path = write(tmp_path / name, codec, pixels=pixels, times=[Fraction(0)])
    film, frames = read(path)

    assert (film.decoded, film.duration, film.complete) == (1, pytest.approx(0.04), True)
    assert measure_error(frames[0].picture, 0) < 9


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_film_without_a_frame_is_refused(tmp_path, suffix):
    """Its header promises pictures."""
    path = tmp_path / f"none.{suffix}"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        film.start_encoding()

    with pytest.raises(UnreadableVideo, match=r"no video that can be read|no picture that can be"):
        read(path)


def encode_two(path, codecs, *, sizes=(SIZE, SIZE), stills=()):
    """Write a film of several streams; those numbered in *stills* hold one white picture."""
    with av.open(str(path), "w") as film:
        streams = [film.add_stream(codec, rate=25) for codec in codecs]
        for stream, size in zip(streams, sizes, strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if stream.codec_context.name == "mjpeg" else "yuv420p"
        for at in range(25):
            for number, (stream, size) in enumerate(zip(streams, sizes, strict=True)):
                picture = draw(int(2 * at >= 25), size)
                if number in stills:
                    picture[:] = 255
                if number not in stills or at == 0:
                    frame = av.VideoFrame.from_ndarray(picture)
                    frame.pts, frame.time_base = at, Fraction(1, 25)
                    film.mux(stream.encode(frame))
        for stream in streams:
            film.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_first_of_two_video_streams_is_the_film(tmp_path, suffix):
    """As players choose."""
    path = encode_two(
        tmp_path / f"two.{suffix}", ("libx264", "libx264"), sizes=(SIZE, (80, 48)), stills={1}
    )
    film, frames = read(path)

    assert (film.width, film.height, film.decoded, film.complete) == (*SIZE, 25, True)
    check_halves(film, frames)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_cover_is_not_the_film(tmp_path, suffix, first):
    """Some containers do not say that a picture is a cover."""
    codecs = ("mjpeg", "libx264") if first else ("libx264", "mjpeg")
    path = encode_two(tmp_path / f"cover.{suffix}", codecs, stills={0 if first else 1})
    film, frames = read(path)

    assert (film.decoded, film.complete) == (25, True)
    check_halves(film, frames)


def test_sound_file_with_a_cover_is_no_film(tmp_path):
    """Nothing moves in it."""
    path = tmp_path / "cover.mp3"
    with av.open(str(path), "w") as film:
        sound, cover = film.add_stream("mp3", rate=44_100), film.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(draw(0))
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        film.mux(cover.encode(frame) + cover.encode(None))
        for at in range(20):
            quiet = np.zeros((1, 1152), np.float32)
            frame = av.AudioFrame.from_ndarray(quiet, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, 1152 * at
            film.mux(sound.encode(frame))
        film.mux(sound.encode(None))

    with pytest.raises(UnreadableVideo, match="holds no moving pictures"):
        read(path)


def copy(source, path, *, drop=0, shift=0.0):
    """Copy the packets of *source* from the number *drop* on, *shift* seconds later."""
    with av.open(str(source)) as film, av.open(str(path), "w") as target:
        stream = film.streams.video[0]
        copied = target.add_stream_from_template(stream)
        packets = [packet for packet in film.demux(stream) if packet.dts is not None]
        for packet in packets[drop:]:
            later = round(shift / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, copied
            target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_film_that_begins_at_an_open_group_shows_whole_frames(tmp_path, suffix):
    """The B-frames before its first key frame are predicted from one that is missing."""
    settings = {"x264-params": "open-gop=1:scenecut=0:keyint=10:min-keyint=10:bframes=3"}
    whole = write(tmp_path / "whole.ts", times=[Fraction(at, 25) for at in range(50)], **settings)
    with av.open(str(whole)) as film:
        packets = [packet for packet in film.demux(video=0) if packet.dts is not None]
    key = [at for at, packet in enumerate(packets) if packet.is_keyframe][3]
    film, frames = read(copy(whole, tmp_path / f"open.{suffix}", drop=key))

    assert film.complete
    assert 50 - key - 3 <= film.decoded <= 50 - key
    for frame in frames:
        assert measure_error(frame.picture, 1) < 9


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_negative_time_stamps_begin_at_zero(tmp_path, suffix):
    """No player shows a negative second."""
    film, frames = read(copy(write(tmp_path / "plain.mp4"), tmp_path / f"early.{suffix}", shift=-2))

    assert (film.start, film.decoded, film.complete) == (0.0, 25, True)
    assert film.duration == pytest.approx(1.0, abs=0.002)
    check_halves(film, frames)


@pytest.mark.parametrize("late", [-5, 36_000], ids=["early", "late"])
def test_time_stamps_of_data_change_nothing(tmp_path, late):
    """Cameras write positions and telemetry beside the pictures, with stamps of any kind."""
    path = tmp_path / "data.ts"
    with av.open(str(path), "w") as film:
        stream, data = film.add_stream("libx264", rate=25), film.add_data_stream("bin_data")
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for at in range(25):
            frame = av.VideoFrame.from_ndarray(draw(int(2 * at >= 25)))
            frame.pts, frame.time_base = at, Fraction(1, 25)
            film.mux(stream.encode(frame))
            packet = av.Packet(b"position")
            packet.stream, packet.time_base = data, Fraction(1, 90_000)
            packet.pts = packet.dts = (10 + late) * 90_000 + at
            film.mux(packet)
        film.mux(stream.encode(None))

    film, frames = read(path)

    assert (film.decoded, film.complete) == (25, True)
    assert film.duration == pytest.approx(1.0, abs=0.002)
    check_halves(film, frames)


# Their end looks like any other place.
ENDLESS = {".mpg", ".gif"}


@pytest.mark.parametrize("one", PROGRESSIVE, ids=lambda one: one.name)
def test_film_cut_short_is_damaged_or_refused(one, make, tmp_path):
    """What can be decoded of it shows the right pictures; formats without a length cannot tell."""
    content = make(one).read_bytes()
    path = tmp_path / one.name
    path.write_bytes(content[: len(content) * 6 // 10])

    try:
        film, frames = read(path)
    except UnreadableVideo:
        return
    assert film.decoded < one.frames
    assert film.complete is (path.suffix in ENDLESS)
    # The times of an .mxf are at its end; what is left begins with a frame's delay of its decoder.
    delay = 1 / float(one.rate) if path.suffix == ".mxf" else 0
    for at, frame in enumerate(frames):
        assert frame.time == pytest.approx(at / float(one.rate) + delay, abs=0.01)
