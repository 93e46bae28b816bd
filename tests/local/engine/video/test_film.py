"""Frames come with the file's own times; bad files are refused with a reason."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.video.conversion import Converter
from memories_async.local.engine.video.decoder import TimedFrame
from memories_async.local.engine.video.film import Film


def write(path, pictures, *, rate=10):
    """Write *pictures* as a film."""
    height, width = pictures[0].shape[:2]
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    for picture in pictures:
        film.write(picture)
    film.release()
    return path


def grey(level, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


def test_first_frame_of_every_step_is_given(film):
    """Two a second means at 0, 0.5, 1 ...; every frame is decoded once."""
    with Film.open(film) as source:
        times = [frame.time for frame in source.frames(2)]

    assert times == pytest.approx(np.arange(0, 9, 0.5).tolist(), abs=0.05)
    assert source.decoded == 9 * 24


def test_duration_size_and_rate_are_those_of_the_file(film):
    """Known once all frames are read."""
    with Film.open(film) as source:
        list(source.frames(2))

    assert source.duration == pytest.approx(9.0, abs=0.05)
    assert (source.width, source.height) == (480, 270)
    assert source.rate == pytest.approx(24.0, abs=0.01)


def test_film_of_one_frame_lasts_one_frame(tmp_path):
    """A duration is never 0."""
    with Film.open(write(tmp_path / "one.mp4", [grey(90)])) as source:
        assert len(list(source.frames(2))) == 1
        assert source.duration == pytest.approx(0.1, abs=0.001)
        assert source.rate == pytest.approx(10)


@pytest.mark.parametrize(
    "content", [b"no video at all" * 99, b"\x00" * 4096, b"RIFF\x24\x00\x00\x00WAVEfmt "]
)
def test_bytes_that_are_no_video_are_refused(tmp_path, content):
    """With a reason."""
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)

    with pytest.raises(UnreadableVideo, match="no video that can be read"):
        Film.open(path)


def test_empty_and_missing_files_are_refused(tmp_path):
    """Each with its own reason."""
    empty = tmp_path / "empty.mp4"
    empty.touch()

    with pytest.raises(UnreadableVideo, match="empty"):
        Film.open(empty)
    with pytest.raises(UnreadableVideo, match="cannot be opened"):
        Film.open(tmp_path / "missing.mp4")


def test_mp4_without_its_table_is_refused(film, tmp_path):
    """Half of the file lacks the table of frames."""
    path = tmp_path / "half.mp4"
    path.write_bytes(film.read_bytes()[: film.stat().st_size // 2])

    with pytest.raises(UnreadableVideo):
        Film.open(path)


def test_damaged_film_is_read_as_far_as_possible(film, tmp_path):
    """Noise in the middle costs some frames only."""
    content = bytearray(film.read_bytes())
    third = len(content) // 3
    content[third : third + 20_000] = np.random.default_rng(1).bytes(20_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)

    with Film.open(path) as source:
        assert len(list(source.frames(2))) > 4


def test_audio_file_is_refused(tmp_path):
    """A wave file has no pictures."""
    import wave

    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\x00\x01" * 8000)

    with pytest.raises(UnreadableVideo):
        Film.open(path)


def test_pictures_too_large_for_memory_are_refused(tmp_path):
    """A few bytes may promise any number of pixels."""
    side = struct.pack("<HH", 9000, 9000)
    path = tmp_path / "huge.gif"
    path.write_bytes(
        b"GIF89a" + side + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0" + side + b"\0\x02\x02D\x01\0;"
    )

    with pytest.raises(UnreadableVideo, match="9000x9000 pixels are too large"):
        Film.open(path)


class Source:
    """A decoder that says what a damaged or odd file makes FFmpeg say."""

    formats = frozenset({"odd"})
    skipped = 0
    codec = "odd"
    aspect = Fraction(1)

    def __init__(self, times, *, rate=10.0, is_complete=True):
        self.times, self.rate, self.is_complete = times, rate, is_complete

    def frames(self, _):
        picture = av.VideoFrame.from_ndarray(grey(50), format="bgr24")
        for time in self.times:
            yield TimedFrame(time=time, frame=picture)


def test_times_that_run_backwards_are_replaced_by_the_rate():
    """So are missing times."""
    source = Film(decoder=Source([5.0, 4.0, 4.0, float("nan")]))

    assert [frame.time for frame in source.frames(1000)] == pytest.approx([5, 5.1, 5.2, 5.3])
    assert source.duration == pytest.approx(0.4)


def test_film_that_begins_before_second_zero_is_moved_there():
    """No player shows a negative second."""
    source = Film(decoder=Source([-0.2, -0.1, 0.0]))

    assert [frame.time for frame in source.frames(1000)] == pytest.approx([0, 0.1, 0.2])


def test_rate_is_counted_where_the_claim_is_wrong_or_missing():
    """The frames contradict the container."""
    times = (np.arange(100) / 10).tolist()
    lying, silent = (Film(decoder=Source(times, rate=rate)) for rate in (90.0, 0.0))
    list(lying.frames(2))
    list(silent.frames(2))

    assert lying.rate == pytest.approx(10)
    assert silent.rate == pytest.approx(10)


def test_rate_is_counted_where_a_tenth_of_the_frames_was_never_filmed():
    """A phone leaves frames out in the dark, and still claims 30 a second."""
    times = [at / 30 for at in range(300) if at % 10 != 9]
    source = Film(decoder=Source(times, rate=30.0))
    list(source.frames(2))

    assert source.rate == pytest.approx(27.1, abs=0.1)


def test_claimed_rate_holds_only_where_frames_are_missing():
    """In a complete film with uneven steps the rate is counted."""
    times = [*(np.arange(50) / 50).tolist(), *(1 + np.arange(50) / 10).tolist()]
    whole, holed = (
        Film(decoder=Source(times, rate=25.0, is_complete=is_complete))
        for is_complete in (True, False)
    )
    list(whole.frames(2))
    list(holed.frames(2))

    assert whole.rate == pytest.approx(100 / 6)
    assert holed.rate == 25.0
    assert whole.duration == pytest.approx(6.0)


def test_frames_without_a_conversion_are_refused(monkeypatch):
    """The reason names codec and pixel format."""

    def refuse(*_, **__):
        raise ValueError("no such conversion")

    monkeypatch.setattr(Converter, "convert", refuse)

    with pytest.raises(UnreadableVideo, match=r"codec odd, pixel format bgr24"):
        list(Film(decoder=Source([0.0, 0.1])).frames(2))


def test_film_without_frames_is_refused():
    """A stream may promise pictures and give none."""
    with pytest.raises(UnreadableVideo, match=r"no picture that can be decoded .codec odd"):
        list(Film(decoder=Source([])).frames(2))


def test_rotated_film_is_shown_upright(film, tmp_path):
    """Phones write pictures on their side and say so in the track's matrix."""
    content = bytearray(film.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    turned = np.array([0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000], ">i4").tobytes()
    content[matrix : matrix + 36] = turned
    path = tmp_path / "rotated.mp4"
    path.write_bytes(content)

    with Film.open(path) as source:
        first = next(source.frames(2)).picture

    assert (source.width, source.height) == (270, 480)
    assert first.shape == (480, 270, 3)


@pytest.mark.parametrize("size", [(36, 50), (2, 2), (16, 400)])
def test_unusual_sizes_are_read(tmp_path, size):
    """Small, slim, or tall."""
    path = tmp_path / "small.avi"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, size)
    for level in range(10):
        film.write(np.full((size[1], size[0], 3), level * 20, np.uint8))
    film.release()

    from memories_async.local.engine.vision.indexing import index_video

    facts = index_video(path).facts

    assert (facts.width, facts.height, facts.frames) == (*size, 10)
