"""A film keeps its own time stamps, and no frame is given that was not decoded."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from films import copy_packets, even, picture, sound, weave, write

from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.video.decoder import Decoder
from memories_async.local.engine.video.film import Film

MILLI = Fraction(1, 1000)
CUT = 4


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A film of eight seconds with a cut at four and a key frame every two."""
    path = tmp_path_factory.mktemp("plain") / "plain.mp4"
    return write(path, even(25, 8), cut=CUT, rate=25, g="50", keyint_min="50", sc_threshold="0")


def read(path):
    """Read a film to its end; return it and its frames, 25 a second."""
    with Film.open(path) as film:
        return film, list(film.frames(25))


def find_cut(frames):
    """Return the time of the first frame that shows the second place."""
    second = picture(1, 0.75).mean(axis=(0, 1))
    first = picture(0, 0.25).mean(axis=(0, 1))

    def is_second(frame):
        mean = frame.picture.mean(axis=(0, 1))
        return np.abs(mean - second).sum() < np.abs(mean - first).sum()

    return next(frame.time for frame in frames if is_second(frame))


def test_interlaced_film_shows_the_same_as_the_progressive_one(tmp_path):
    """No frame is black, and none is the frame before."""
    woven = read(weave(tmp_path / "woven.mp4", **{"x264-params": "tff=1", "crf": "12"}))[1]
    smooth = read(weave(tmp_path / "smooth.mp4", crf="12"))[1]

    assert len(woven) == len(smooth) == 96
    for one, other in zip(woven, smooth, strict=True):
        assert np.abs(one.picture.astype(int) - other.picture).mean() < 12
    assert np.abs(woven[0].picture.astype(int) - woven[50].picture).mean() > 25


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_film_cut_by_an_edit_list_is_complete(plain, tmp_path, suffix):
    """The key frame before the cut is decoded, but not shown."""
    film, frames = read(copy_packets(plain, tmp_path / f"cut.{suffix}", skip=2.5))

    assert film.complete
    assert film.duration == pytest.approx(5.5, abs=0.05)
    assert find_cut(frames) == pytest.approx(CUT - 2.5, abs=0.05)


def trim(content, start, length):
    """Let the edit list of an mp4 show *length* seconds from *start* only."""
    content = bytearray(content)
    movie, track, edits = (content.index(name) for name in (b"mvhd", b"mdhd", b"elst"))
    (tick,), (own,) = (struct.unpack_from(">I", content, at + 16) for at in (movie, track))
    (before,) = struct.unpack_from(">i", content, edits + 16)
    struct.pack_into(">Ii", content, edits + 12, int(length * tick), before + int(start * own))
    return bytes(content)


def test_film_trimmed_on_a_phone_is_complete(plain, tmp_path):
    """All frames are still in the file; the edit list hides most."""
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(trim(plain.read_bytes(), 2.5, 3.0))

    film, frames = read(path)

    assert film.complete
    assert (film.decoded, film.duration) == (75, pytest.approx(3.0))
    assert find_cut(frames) == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "first"), [("late.mkv", 60.0), ("late.mp4", 60.0), ("late.ts", 0.0)]
)
def test_times_are_the_files_time_stamps(tmp_path, name, first):
    """Broadcast formats count from their first time stamp."""
    times = [60 + time for time in even(25, 4)]
    film, frames = read(write(tmp_path / name, times, cut=62, rate=25, tick=MILLI))

    assert film.complete
    assert film.start == frames[0].time == pytest.approx(first, abs=0.001)
    assert film.duration == pytest.approx(4.0, abs=0.002)
    assert find_cut(frames) == pytest.approx(first + 2, abs=0.05)


def test_frames_before_second_zero_are_not_shown(tmp_path):
    """The edit list of an mp4 hides them."""
    times = [time - 1 for time in even(25, 4)]
    film, frames = read(write(tmp_path / "early.mp4", times, cut=1, rate=25))

    assert (film.decoded, film.start, film.complete) == (75, 0.0, True)
    assert find_cut(frames) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_begins_at_zero_and_keeps_its_order(tmp_path, codec):
    """Its time stamps are those of decoding; B-frames are decoded in another order."""
    path = write(
        tmp_path / "b.avi", even(25, 4), cut=2, rate=25, tick=Fraction(1, 25), codec=codec, bf="2"
    )
    film, frames = read(path)

    assert (film.decoded, film.start, film.duration) == (100, 0.0, pytest.approx(4.0))
    assert find_cut(frames) == pytest.approx(2.0, abs=0.09)


def test_frames_before_the_first_key_frame_are_left_out(plain, tmp_path):
    """A recording may begin anywhere; that is no damage."""
    mkv = copy_packets(plain, tmp_path / "open.mkv", drop=1)
    source = write(
        tmp_path / "m.avi",
        even(25, 8),
        cut=CUT,
        rate=25,
        tick=Fraction(1, 25),
        codec="mpeg4",
        g="50",
    )
    avi = copy_packets(source, tmp_path / "open.avi", drop=1)

    for path in (mkv, avi):
        film, frames = read(path)
        assert film.complete
        assert film.decoded == 150
        assert film.start == pytest.approx(2.0, abs=0.05)
        assert find_cut(frames) == pytest.approx(CUT, abs=0.05)


def test_frames_after_a_damaged_packet_are_left_out_until_the_next_key_frame(plain, tmp_path):
    """They are predicted from a frame that was not decoded; the film counts as damaged."""
    content = bytearray(plain.read_bytes())
    with av.open(str(plain)) as film:
        packets = [one for one in film.demux(video=0) if one.dts is not None]
    for packet in packets[60:70]:
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path = tmp_path / "holed.mp4"
    path.write_bytes(content)

    film, frames = read(path)

    times = [frame.time for frame in frames]
    assert not film.complete
    assert not [time for time in times if 2.6 <= time < 3.95]
    assert max(times) > 7.9


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fast.mp4", {"movflags": "faststart"}),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("film.mkv", {}),
    ],
)
def test_only_a_file_that_is_cut_short_is_incomplete(plain, tmp_path, name, options):
    """What can be decoded of it is decoded."""
    whole = copy_packets(plain, tmp_path / name, **options)
    short = tmp_path / f"short-{name}"
    content = whole.read_bytes()
    short.write_bytes(content[: len(content) * 6 // 10])

    (film, _), (part, frames) = read(whole), read(short)

    assert (film.complete, film.decoded) == (True, 200)
    assert (part.complete, part.decoded) == (False, len(frames))
    assert 50 < part.decoded < 150


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_film_whose_sound_lasts_longer_is_complete(tmp_path, suffix):
    """The container's duration is that of its longest stream."""
    path = tmp_path / f"long.{suffix}"
    with av.open(str(path), "w") as film:
        pictures, audio = film.add_stream("libx264", rate=25), film.add_stream("aac", rate=8000)
        pictures.width, pictures.height, pictures.pix_fmt = 320, 180, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(picture(0, number / 50), format="bgr24")
            film.mux(pictures.encode(frame))
        film.mux(pictures.encode(None))
        for number in range(80):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1000), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, 1000 * number
            film.mux(audio.encode(frame))
        film.mux(audio.encode(None))

    film, _ = read(path)

    assert (film.complete, film.duration) == (True, pytest.approx(2.0, abs=0.01))


@pytest.mark.parametrize(("tag", "codec"), [(b"zzz9", "none .zzz9"), (b"vvc1", "vvc")])
def test_codec_without_a_decoder_is_named(plain, tmp_path, tag, codec):
    """The user learns what to convert."""
    content = bytearray(plain.read_bytes())
    at = content.index(b"avc1", content.index(b"stsd"))
    content[at : at + 4] = tag
    path = tmp_path / "unknown.mp4"
    path.write_bytes(content)

    with pytest.raises(UnreadableVideo, match=rf"codec,? {codec}"):
        read(path)


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.txt"])
def test_playlist_is_refused_and_opens_no_other_file(plain, tmp_path, name):
    """An upload must not read files of the service's machine."""
    text = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\n{plain}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile {plain}\n",
        "list.txt": "words\n" * 500,
    }[name]
    (tmp_path / name).write_text(text)

    with pytest.raises(UnreadableVideo, match="no video that can be read"):
        Decoder.open(tmp_path / name)


def test_sound_file_is_refused(tmp_path):
    """The reason says that it holds no moving pictures."""
    with pytest.raises(UnreadableVideo, match="it holds no moving pictures"):
        Decoder.open(sound(tmp_path / "sound.mp4"))


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
        ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
        ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
        ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
        ((1, 0, 0, -1), lambda picture: picture[::-1]),
        ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
    ],
)
def test_display_matrix_turns_and_mirrors(plain, tmp_path, matrix, turn):
    """Phones write pictures on their side; front cameras mirror them."""
    content = bytearray(plain.read_bytes())
    a, b, c, d = (number << 16 for number in matrix)
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path = tmp_path / "turned.mp4"
    path.write_bytes(content)

    (_, (before, *_)), (film, (after, *_)) = read(plain), read(path)

    assert np.array_equal(after.picture, turn(before.picture))
    assert (film.height, film.width) == after.picture.shape[:2]
