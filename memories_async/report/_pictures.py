"""Small pictures and clips of videos as `data:` URLs, by FFmpeg (PyAV). Nothing is downloaded."""

from __future__ import annotations

import math
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from attrs import define, field, frozen
from av.container import InputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from markupsafe import Markup

from memories_async.film import Piece
from memories_async.film._cutter import FilmCutter
from memories_async.report._media import explain_unplayable

WIDE = 320
"""Pixels across a still of a clip, on a page."""
PICTURE_BYTES = 3_000_000
"""Characters of all pictures of a page; what comes later is left out."""
CLIP_BYTES = 24_000_000
"""Characters of all embedded clips of a page."""
_CLIP_SIZE, _CLIP_SECONDS = 900_000, 15.0
"""The most bytes and seconds of one embedded clip."""
_SHARES = (0.5, 0.3, 0.7, 0.1, 0.9)
"""Where in a clip the frames are that are compared with the query picture."""
_COARSE = (32, 18)
_LONGEST = 86_400.0 * 7
_OPTIONS = {"protocol_whitelist": "file"}
_MICROSECONDS = 1_000_000
_FAR, _TOLERANCE = 20.0, 0.02
"""Seconds to a frame that is sought instead of decoding all before it, and by which a frame may be early."""


@frozen(kw_only=True)
class _FilmFacts:
    duration: float = 0.0
    unplayable: str = ""


@define(eq=False)
class Pictures:
    """Makes the pictures and clips of one page, up to a number of bytes."""

    wide: int = WIDE
    """Pixels across a still of a clip."""
    left: int = PICTURE_BYTES
    clip_left: int = CLIP_BYTES
    left_out: int = field(default=0, init=False)
    """Pictures and clips that there was no room for."""
    unreadable: set[str] = field(factory=set[str], init=False)
    """Names of files that cannot be decoded."""
    _facts: dict[Path, _FilmFacts] = field(factory=dict[Path, _FilmFacts], init=False)
    _stills: dict[tuple[Path, float, int], str] = field(
        factory=dict[tuple[Path, float, int], str], init=False
    )

    def measure(self, video: Path) -> float:
        """Return the length of *video* in seconds, 0 where it cannot be read."""
        return self._probe(video).duration

    def explain_unplayable(self, video: Path) -> str:
        """Say what of *video* most browsers do not play; empty where they play it."""
        return self._probe(video).unplayable

    def _probe(self, video: Path) -> _FilmFacts:
        if video not in self._facts:
            self._facts[video] = _FilmFacts()
            try:
                with av.open(
                    str(video), container_options=_OPTIONS, metadata_errors="replace"
                ) as film:
                    self._facts[video] = _read_facts(film, video.suffix)
            except (FFmpegError, OSError):
                self.unreadable.add(video.name)
        return self._facts[video]

    def take_stills(
        self, video: Path, times: Sequence[float], *, width: int, others: Sequence[float] = ()
    ) -> list[str]:
        """Return a still at each of *times*, in seconds; an empty string where there is none.

        Stills of clips at the times *others* are decoded in the same pass, for later.
        """
        wanted = [(time, width) for time in times] + [(time, self.wide) for time in others]
        missing = [one for one in wanted if (video, *one) not in self._stills]
        if missing and self.left > 0:
            try:
                self._decode(video, missing)
            except (FFmpegError, OSError, IndexError):
                self.unreadable.add(video.name)
        stills = [self._stills.get((video, time, width), "") for time in times]
        return [self._admit(still) for still in stills]

    def choose_times(
        self, video: Path, spans: Sequence[tuple[float, float]], image: bytes | Path
    ) -> list[float]:
        """Return the time within each span whose frame looks most like *image*: of five, by colours.

        The middle of each span where the picture or the video cannot be decoded.
        """
        tries = [[a + (b - a) * share for share in _SHARES] for a, b in spans]
        times = sorted({time for one in tries for time in one})
        try:
            with av.open(BytesIO(_read_bytes(image)), "r") as opened:
                wanted = _shrink_pixels(next(opened.decode(video=0)))
            frames = _read_frames(video, times)
            far = {
                time: float(np.abs(_shrink_pixels(frame) - wanted).mean())
                for time, frame in zip(times, frames, strict=False)
            }
        except (FFmpegError, OSError, IndexError, StopIteration):
            far = {}
        # Of equal ones the first is taken, which is the middle.
        return [min(one, key=lambda time: far.get(time, math.inf)) for one in tries]

    def shrink(self, image: bytes | Path, *, width: int) -> str:
        """Return a picture file, at most *width* pixels wide."""
        name = image.name if isinstance(image, Path) else "the picture"
        try:
            with av.open(BytesIO(_read_bytes(image)), "r") as opened:
                frame = next(opened.decode(video=0))
                return self._admit(_build_url("image/jpeg", _encode(frame, width)))
        except (FFmpegError, OSError, IndexError, StopIteration):
            self.unreadable.add(name)
            return ""

    def cut(self, video: Path, start: float, end: float) -> str:
        """Return the seconds from *start* to *end* as an MP4 file, at most 15 of them."""
        if self.clip_left < 0:
            self.left_out += 1
            return ""
        end = min(max(end, start + 0.5), start + _CLIP_SECONDS)
        try:
            with tempfile.TemporaryFile() as file:
                piece = Piece(start_time=start, end_time=end, at_cut=False)
                FilmCutter(video, max_size=_CLIP_SIZE).cut(piece, file)
                clip = _build_url("video/mp4", file.read())
        except (ValueError, OSError, FFmpegError):
            self.unreadable.add(video.name)
            return ""
        self.clip_left -= len(clip)
        return clip

    def _admit(self, url: str) -> str:
        if len(url) > self.left:
            self.left_out += 1
            return ""
        self.left -= len(url)
        return url

    def _decode(self, video: Path, wanted: Sequence[tuple[float, int]]) -> None:
        """Keep the frames at the times and widths of *wanted*."""
        ordered = sorted(wanted)
        frames = _read_frames(video, [time for time, _ in ordered])
        for (time, width), frame in zip(ordered, frames, strict=False):
            self._stills[video, time, width] = _build_url("image/jpeg", _encode(frame, width))


def _read_frames(video: Path, times: Sequence[float]) -> Iterator[VideoFrame]:
    """Decode the frame at each of *times*, which rise; what is far ahead is sought."""
    with av.open(str(video), "r", container_options=_OPTIONS, metadata_errors="replace") as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        origin = (film.start_time or 0) / _MICROSECONDS
        frames: Iterator[VideoFrame] = iter(())
        frame: VideoFrame | None = None
        for time in times:
            now = -math.inf if frame is None else frame.time - origin
            if time > now + _FAR:
                film.seek(max(0, round((time + origin) * _MICROSECONDS)))
                frames = film.decode(stream)
            while now < time - _TOLERANCE and (following := next(frames, None)) is not None:
                frame = following
                now = frame.time - origin
            if frame is not None:
                yield frame


def _shrink_pixels(frame: VideoFrame) -> Any:
    """Return the colours of *frame*, without its mean brightness, as a few numbers."""
    pixels: Any = frame.reformat(*_COARSE, format="rgb24").to_ndarray().astype(np.float32)
    return pixels - pixels.mean()


def _read_facts(film: InputContainer, suffix: str) -> _FilmFacts:
    length = (film.duration or 0) / _MICROSECONDS
    codec = film.streams.video[0].codec_context if film.streams.video else None
    return _FilmFacts(
        duration=length if 0 < length < _LONGEST else 0.0,
        unplayable=""
        if codec is None
        else explain_unplayable(
            suffix=suffix,
            formats=film.format.name.split(","),
            codec=codec.codec.canonical_name,
            long_name=codec.codec.long_name,
            pixels=codec.pix_fmt or "",
        ),
    )


def measure_picture(url: str) -> tuple[int, int]:
    """Return width and height of a picture that `Pictures` made."""
    with av.open(BytesIO(b64decode(url.partition(",")[2])), "r") as opened:
        return opened.streams.video[0].width, opened.streams.video[0].height


def convert_to_jpeg(picture: bytes) -> bytes:
    """Return a PNG file as a JPEG file of the same size."""
    with av.open(BytesIO(picture), "r") as opened:
        frame = next(opened.decode(video=0))
        return _encode(frame, frame.width, quality=2)


def _read_bytes(image: bytes | Path) -> bytes:
    return image.read_bytes() if isinstance(image, Path) else image


def _encode(frame: VideoFrame, width: int, *, quality: int = 6) -> bytes:
    """Encode *frame* upright as a JPEG file of *width* pixels; the best *quality* is 1."""
    turns = (frame.rotation % 360) // 90
    if turns:
        pixels: Any = frame.to_ndarray(format="rgb24")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, turns)), "rgb24")
    # A picture that is very tall would be larger than its place.
    scale = min(1.0, width / frame.width, width * 1.4 / frame.height)
    size = [max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height)]
    small = frame.reformat(size[0], size[1], format="yuvj420p", interpolation="AREA")
    encoder: Any = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.qmin = encoder.qmax = quality
    small.pts, small.time_base = 0, Fraction(1, 25)
    packets = [*encoder.encode(small), *encoder.encode(None)]
    return b"".join(map(bytes, packets))


def _build_url(kind: str, content: bytes) -> str:
    # Base64 has nothing to escape, and is never cut.
    return Markup(f"data:{kind};base64,{b64encode(content).decode()}")  # noqa: S704
