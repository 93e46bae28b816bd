"""Read the cuts of a film and cut pieces out of it, with FFmpeg (PyAV); blocking.

One frame is decoded at a time, so memory does not grow with the length of the film.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Self

from attrs import define, field, frozen

from memories_async.film._plan import LONGEST, FilmPlan, Piece, plan_pieces

try:
    import av
    import av.filter
    import numpy as np
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.frame import PictureType, VideoFrame
    from av.video.stream import VideoStream
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "cutting a film needs av and numpy: pip install 'memories_async[local]'", name=_error.name
    ) from _error

RECIPE = "480p-1"
"""Names how pieces are made. Pieces of another recipe are other videos, which are paid anew."""
_SHORT_SIDE = 480
_TICK = Fraction(1, 90_000)
_MICROSECONDS = 1e-6
_SOUND_RATE = 64_000
"""Bits a second of the sound, at most."""
_SAMPLE_RATES = frozenset({8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100})
"""Sample rates that are kept; others become 44,100."""
_SHARE = 0.92
"""Share of the allowed bytes that a piece is meant to fill at most."""
_SMALL = (32, 18)
_CHANGED, _STANDS_OUT, _NEIGHBOURS = 16.0, 3.0, 12
"""A cut changes the mean lightness of a pixel by so much, and by so many times what is usual."""
_TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip",), ("vflip",)),
    270: (("transpose", "clock"),),
}
"""The filters that make a picture upright, by the degrees of its display matrix."""
_OPTIONS = {"protocol_whitelist": "file"}


class Stopped(Exception):
    """The work in the thread was told to stop."""


@define(eq=False)
class FilmCutter:
    """Plans a film's pieces, and cuts them."""

    path: Path
    max_size: int
    """Bytes allowed for a piece."""
    is_stopped: threading.Event = field(factory=threading.Event, init=False)
    """Set from another thread to end the work soon."""

    def plan(self) -> FilmPlan:
        """Plan the pieces. Raises `ValueError` for a file that is no video."""
        size = self.path.stat().st_size
        with self._open() as film:
            duration, cuts = film.duration, list[float]()
            is_whole = self._is_whole(film, size)
            if not is_whole:
                duration, cuts = self._find_cuts(film)
        if duration <= 0:
            raise ValueError(f"video has no pictures: {self.path}")
        whole = (Piece(start_time=0.0, end_time=round(duration, 3), at_cut=True),)
        pieces = whole if is_whole else plan_pieces(duration, cuts)
        return FilmPlan(duration=round(duration, 3), size=size, pieces=pieces, is_whole=is_whole)

    def fits(self) -> bool:
        """Whether the film can be captioned as it is; its pictures are not decoded."""
        with self._open() as film:
            return self._is_whole(film, self.path.stat().st_size)

    def _is_whole(self, film: _Film, size: int) -> bool:
        return 0 < film.duration <= LONGEST and size <= self.max_size

    @contextmanager
    def _open(self) -> Generator[_Film]:
        try:
            with _Film.open(self.path) as film:
                yield film
        except (FFmpegError, OSError) as error:
            raise ValueError(f"video cannot be read: {self.path}: {error}") from None

    def cut(self, piece: Piece, to: BinaryIO) -> None:
        """Write *piece* to a file as MP4, at most 480 lines high, with its sound."""
        share = _SHARE
        while True:
            to.seek(0)
            to.truncate()
            total = share * self.max_size * 8 / max(piece.duration, 1.0)
            try:
                with _Film.open(self.path) as film, av.open(to, "w", format="mp4") as out:
                    self._copy(film, piece, out, round(total))
            except FFmpegError as error:
                raise ValueError(f"video cannot be cut: {self.path}: {error}") from None
            to.seek(0, 2)
            if to.tell() <= self.max_size or share < _SHARE / 4:
                break
            share *= 0.7
        to.seek(0)

    def _find_cuts(self, film: _Film) -> tuple[float, list[float]]:
        """Decode the film; return its duration, and the times of its cuts."""
        cuts, end = list[float](), 0.0
        small: list[Any] = []
        steps: list[float] = []
        pending: tuple[float, Any] | None = None
        for time, frame in film.frames():
            self._check()
            end = max(end, time + film.frame_time)
            reduced = frame.reformat(*_SMALL, format="gray", interpolation="AREA", threads=1)
            picture = reduced.to_ndarray().astype(np.int16)
            if pending is not None and len(steps) >= 2:  # noqa: PLR2004  # frames after the cut
                # After a flash, the look before it returns.
                if _differ(picture, pending[1]) >= _CHANGED / 2:
                    cuts.append(pending[0])
                pending, steps = None, []
            if small:
                step = _differ(picture, small[-1])
                usual = float(np.median(steps[-_NEIGHBOURS:])) if steps else 0.0
                if pending is None and step >= max(_CHANGED, _STANDS_OUT * usual):
                    pending, steps = (time, small[-1]), []
                else:
                    steps = [*steps[-_NEIGHBOURS:], step]
            small = [picture]
        return end, cuts

    def _copy(self, film: _Film, piece: Piece, out: Any, total: int) -> None:
        """Encode the frames of *piece*, and its sound, at *total* bits a second at most."""
        sound = film.container.streams.audio[0] if film.container.streams.audio else None
        voice = None
        if sound is not None:
            pitch = sound.rate if sound.rate in _SAMPLE_RATES else 44_100
            voice = out.add_stream("aac", rate=pitch, layout="mono")
            voice.bit_rate = min(_SOUND_RATE, total // 4)
        rate = max(20_000, total - (voice.bit_rate if voice else 0))
        limits = {"crf": "23", "maxrate": str(rate), "bufsize": str(rate), "preset": "veryfast"}
        shown = out.add_stream("libx264", rate=film.rate, options=limits)
        shown.pix_fmt, shown.codec_context.time_base = "yuv420p", _TICK
        turn = _Turner()
        # Sound may come first, and the header holds the size of the pictures.
        start = next(film.frames(), None)
        if start is None:  # a StopIteration would never reach whoever waits for the thread
            raise ValueError(f"video has no pictures: {self.path}")
        first = turn(start[1])
        shown.width, shown.height, last = first.width, first.height, -1
        for kind, time, frame in film.read_from(piece.start_time, piece.end_time, sound):
            self._check()
            if kind == "sound":
                assert voice is not None
                frame.pts = round((time - piece.start_time) / frame.time_base)
                out.mux(voice.encode(frame))
                continue
            picture = turn(frame)
            if (picture.width, picture.height) != (shown.width, shown.height):
                picture = picture.reformat(width=shown.width, height=shown.height)
            stamp = round((time - piece.start_time) / _TICK)
            if stamp > last:
                last, picture.pts, picture.time_base = stamp, stamp, _TICK
                picture.pict_type = PictureType.NONE
                out.mux(shown.encode(picture))
        out.mux(shown.encode(None))
        if voice is not None:
            out.mux(voice.encode(None))

    def _check(self) -> None:
        if self.is_stopped.is_set():
            raise Stopped


@frozen(eq=False)
class _Film:
    """An open film."""

    container: InputContainer
    stream: VideoStream

    @classmethod
    def open(cls, path: Path) -> Self:
        container = av.open(str(path), container_options=_OPTIONS, metadata_errors="replace")
        if not container.streams.video:
            container.close()
            raise ValueError(f"video has no pictures: {path}")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return cls(container, stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def origin(self) -> float:
        return (self.container.start_time or 0) * _MICROSECONDS

    @property
    def duration(self) -> float:
        return (self.container.duration or 0) * _MICROSECONDS

    @property
    def rate(self) -> Fraction:
        rate = self.stream.guessed_rate
        return rate if rate and 0 < rate <= 120 else Fraction(25)  # noqa: PLR2004  # absurd above

    @property
    def frame_time(self) -> float:
        return float(1 / self.rate)

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Decode every frame; what is damaged is passed over."""
        for packet in self.container.demux(self.stream):
            try:
                # PyAV's stubs leave the packet's kind open, and say that a frame always has a time.
                frames: Any = self.stream.decode(packet)  # pyright: ignore[reportUnknownMemberType]
                for frame in frames:
                    if frame.time is not None:
                        yield frame.time - self.origin, frame
            except FFmpegError:
                continue

    def read_from(self, start: float, end: float, sound: Any) -> Iterator[tuple[str, float, Any]]:
        """Decode pictures and sound from *start* to *end*."""
        self.container.seek(round((start + self.origin) / _MICROSECONDS))
        streams = [one for one in (self.stream, sound) if one is not None]
        ended = set[int]()
        for packet in self.container.demux(*streams):
            try:
                frames: Any = packet.decode()
            except FFmpegError:
                continue
            kind = "sound" if packet.stream is sound else "picture"
            for frame in frames:
                if frame.time is None:
                    continue
                time = frame.time - self.origin
                if time >= end:
                    ended.add(packet.stream.index)
                elif time >= start:
                    yield kind, time, frame
            if len(ended) == len(streams):
                return


@define(eq=False)
class _Turner:
    """Turns pictures upright that are stored on their side; phones do so."""

    _graph: Any = field(default=None, init=False)

    def __call__(self, given: VideoFrame) -> VideoFrame:
        """Make *given* upright, its shorter side at most 480 pixels."""
        filters, frame = _TURNS.get(given.rotation % 360, ()), _shrink(given)
        if not filters:
            return frame
        if self._graph is None:
            self._graph = av.filter.Graph()
            source = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=_TICK
            )
            nodes = [self._graph.add(*one) for one in filters]
            self._graph.link_nodes(source, *nodes, self._graph.add("buffersink")).configure()
        self._graph.push(frame)
        upright: VideoFrame = self._graph.pull()
        return upright


def _differ(one: Any, other: Any) -> float:
    return float(np.abs(one - other).mean())


def _shrink(frame: VideoFrame) -> VideoFrame:
    """Scale *frame* so that its shorter side has at most 480 pixels, upright."""
    scale = min(1.0, _SHORT_SIDE / min(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    return frame.reformat(width, height, format="yuv420p", interpolation="AREA", threads=1)
