"""Pictures have square pixels, the colours that a player shows, and one size a film."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, ColorTrc
from quadrants import COLOURS, SIZE, draw, has_encoder, measure_error, write

from memories_async.local.engine.video.film import Film
from memories_async.local.engine.vision.index import PixelIndex
from memories_async.local.engine.vision.indexing import index_video

FEW = [Fraction(at, 25) for at in range(6)]


def read(path, *, longest=360):
    """Read a film to its end; return it and its pictures."""
    with Film.open(path) as film:
        return film, [frame.picture for frame in film.frames(1000, longest=longest)]


@pytest.mark.parametrize(
    ("name", "size", "aspect", "shown"),
    [
        ("pal-wide.mp4", (720, 576), Fraction(64, 45), (1024, 576)),
        ("pal-wide.mpg", (720, 576), Fraction(64, 45), (1024, 576)),
        ("ntsc.mkv", (720, 480), Fraction(8, 9), (640, 480)),
        ("hdv.mp4", (1440, 1080), Fraction(4, 3), (1920, 1080)),
        ("almost-square.mp4", (160, 96), Fraction(199, 200), (160, 96)),
        ("mistaken.mkv", (160, 96), Fraction(1, 50), (160, 96)),
    ],
)
def test_pixels_are_shown_square(tmp_path, name, size, aspect, shown):
    """A circle of the scene is a circle in the picture, as in a player."""

    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = aspect

    codec = "mpeg2video" if name.endswith("mpg") else "libx264"
    film, pictures = read(write(tmp_path / name, codec, size=size, times=FEW, prepare=prepare))

    assert (film.width, film.height) == shown
    scale = min(1, 360 / shown[0])
    assert pictures[0].shape == (round(shown[1] * scale), round(shown[0] * scale), 3)
    assert measure_error(pictures[0], 0) < 25


MATRICES = {"601": (Colorspace.ITU601, 5), "709": (Colorspace.ITU709, 1), "2020": (9, 9)}
RANGES = {"limited": ColorRange.MPEG, "full": ColorRange.JPEG}


def encode_as(matrix, colour_range=ColorRange.MPEG, pixels="yuv420p"):
    """Encode pictures by a matrix and a range."""

    def encode(picture):
        frame = av.VideoFrame.from_ndarray(picture)
        return frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=colour_range)

    return encode


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("span", RANGES)
def test_colours_follow_the_matrix_and_range_of_the_file(tmp_path, matrix, span):
    """Whatever they are, the picture is the one that was encoded."""
    swscale, number = MATRICES[matrix]

    def prepare(stream):
        stream.codec_context.colorspace = number
        stream.codec_context.color_range = RANGES[span]

    path = write(
        tmp_path / "film.mp4",
        times=FEW,
        size=(320, 180),
        prepare=prepare,
        encode=encode_as(swscale, RANGES[span]),
    )

    assert measure_error(read(path)[1][0], 0) < 4


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((720, 576), Colorspace.ITU601),
        ((1280, 720), Colorspace.ITU709),
        ((720, 1280), Colorspace.ITU709),
    ],
)
def test_matrix_that_is_not_named_is_that_of_the_size(tmp_path, size, matrix):
    """BT.709 for HD, BT.601 below, as players take it."""
    path = write(tmp_path / "film.mp4", times=FEW[:2], size=size, encode=encode_as(matrix))

    assert measure_error(read(path)[1][0], 0) < 4


def encode_high_range(transfer):
    """Encode pictures for a display of 1,000 nits, standard white at 203 (ITU-R BT.2408)."""
    to_2020 = np.array(
        [(0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956)]
    )

    def encode(picture):
        share = picture / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        nits = 203 * (linear @ to_2020.T)
        if transfer is ColorTrc.SMPTE2084:
            power = (nits / 10_000) ** (2610 / 16384)
            low, high, more = 3424 / 4096, 2413 / 128, 2392 / 128
            signal = ((low + high * power) / (1 + more * power)) ** (2523 / 32)
        else:
            shown = nits / 1000
            light = shown @ (0.2627, 0.6780, 0.0593)
            scene = shown * light[..., None] ** (1 / 1.2 - 1)
            upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
            signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)
        wide = av.VideoFrame.from_ndarray(
            np.rint(signal * 65535).astype(np.uint16), format="rgb48le"
        )
        frame = wide.reformat(format="yuv420p10le", dst_colorspace=Colorspace.BT2020)
        frame.color_trc, frame.color_primaries = int(transfer), 9
        return frame

    return encode


@pytest.mark.slow
@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67], ids=["pq", "hlg"])
def test_high_dynamic_range_is_shown_in_standard_colours(tmp_path, transfer):
    """Unmapped, a red of (200, 40, 40) would be a dull brown of (123, 79, 68)."""
    if not has_encoder("libx265"):
        pytest.skip("this FFmpeg has no encoder libx265")

    def prepare(stream):
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, int(transfer), 9
        context.color_range = 1

    path = write(
        tmp_path / "film.mkv",
        "libx265",
        pixels="yuv420p10le",
        size=(320, 180),
        times=FEW,
        prepare=prepare,
        encode=encode_high_range(transfer),
        **{"x265-params": "log-level=none", "crf": "12"},
    )
    with av.open(str(path)) as film:
        assert next(film.decode(video=0)).color_trc == transfer

    pictures = read(path)[1]

    assert measure_error(pictures[0], 0) < 20
    assert measure_error(pictures[-1], 1) < 20


def write_sizes(path, sizes, folder):
    """Write a stream whose frames change in size, a second each."""
    with av.open(str(path), "w") as film:
        copied = None
        for number, size in enumerate(sizes):
            part = write(folder / f"{number}.ts", size=size)
            with av.open(str(part)) as source:
                stream = source.streams.video[0]
                packets = [packet for packet in source.demux(stream) if packet.dts is not None]
                copied = copied or film.add_stream_from_template(stream)
                first = packets[0].dts
                for packet in packets:
                    later = round(number / packet.time_base) - first
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = copied
                    film.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_film_whose_frames_change_in_size_keeps_the_first_size(tmp_path, suffix):
    """As streams do that adapt to a network: positions in all samples mean the same."""
    sizes = (SIZE, (320, 192), (80, 48))
    film, pictures = read(write_sizes(tmp_path / f"film.{suffix}", sizes, tmp_path))

    assert (film.width, film.height, film.decoded, film.complete) == (*SIZE, 75, True)
    assert {picture.shape for picture in pictures} == {(96, 160, 3)}
    for at, picture in enumerate(pictures):
        assert measure_error(picture, int(2 * (at % 25) >= 25)) < 12


def test_film_that_is_turned_while_it_runs_is_not_distorted(tmp_path):
    """The longer side keeps its length."""
    path = write_sizes(tmp_path / "film.mkv", (SIZE, SIZE[::-1]), tmp_path)
    film, pictures = read(path)

    assert (film.width, film.height) == SIZE
    assert [pictures[0].shape, pictures[-1].shape] == [(96, 160, 3), (160, 96, 3)]


def test_anamorphic_film_is_indexed_at_its_shown_size(tmp_path):
    """The points of its samples lie within the size that its facts name."""

    def prepare(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    def encode(picture):
        noisy = np.random.default_rng(1).integers(0, 255, picture.shape, np.uint8)
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture // 2 + noisy // 2))

    path = write(tmp_path / "film.mp4", times=FEW, prepare=prepare, encode=encode)
    index: PixelIndex = index_video(path)

    assert (index.facts.width, index.facts.height) == (320, 96)
    width, height = index.picture_size
    places = index.samples.points.places
    assert len(places) > 20
    assert places[:, 0].max() > 0.6 * width
    assert (places <= (width, height)).all()


def test_colours_of_the_truth_differ():
    """Otherwise nothing above would prove anything."""
    assert measure_error(draw(0)[..., ::-1], 0) == 0
    assert measure_error(draw(0)[..., ::-1], 1) > 90
    assert len(COLOURS) == 4
