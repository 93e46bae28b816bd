"""Sample a film: frames of a video file, with the times at which they are shown.

The file is read straight through: seeking to each sample is up to twenty times slower. Only the frames
asked for are converted, and scaled in the same step. Times are the file's own time stamps, never
frame numbers: on files of variable rate those drift by many seconds. One frame is held at a time, so
memory does not grow with length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from memories_async.local.engine._cv import Picture
from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.video.container import FFmpegError
from memories_async.local.engine.video.conversion import Converter
from memories_async.local.engine.video.decoder import Decoder, TimedFrame

__all__ = ["Film", "Frame"]

_EARLY = 0.001
"""Seconds by which a frame may come before its sample time; times are rounded in files."""
_USUAL_RATE = 25.0
_SLACK = 1.01
"""Factor by which the counted rate may differ from the claimed one."""
_ROUNDED = 0.002
"""Seconds by which steps between frames differ where a file rounds its times."""


@frozen(kw_only=True)
class Frame:
    """One picture and the second at which it is shown."""

    time: float
    picture: Picture = field(repr=False)


@define(kw_only=True)
class Film:
    """An open video file; a context manager. Its figures are final once `frames` has run out."""

    decoder: Decoder = field(repr=False)
    width: int = 0
    """Pixels of a picture as shown, whatever size is asked for."""
    height: int = 0
    decoded: int = 0
    start: float = 0.0
    """Second at which the first frame is shown; 0 in most files."""
    _shift: float = 0.0
    _last: float = -1.0
    _gap: float = 0.0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the video at *path*. Raises `UnreadableVideo`."""
        return cls(decoder=Decoder.open(path))

    def frames(self, rate: float, *, longest: int | None = None) -> Iterator[Frame]:
        """Yield the first frame at or after each 1/*rate* seconds.

        With *longest* the longer side of a picture has at most that many pixels.
        """
        converter, refused = Converter(longest=longest, aspect=self.decoder.aspect), ""

        def find_slot(second: float) -> int:
            return math.floor((second + self._shift + _EARLY) * rate)

        last: int | None = None
        for one in self.decoder.frames(find_slot):
            time = self._read_time(one)
            slot = find_slot(time - self._shift)
            if one.frame is None or slot == last:
                continue
            try:
                picture = converter.convert(one.frame)
            except (FFmpegError, ValueError):
                refused = f", pixel format {one.frame.format.name}"
                continue
            last = slot
            if not self.width:
                self.width, self.height = converter.measure_shown(one.frame)
            yield Frame(time=time, picture=picture)
        if not self.width:
            raise UnreadableVideo(
                "the file holds no picture that can be decoded "
                f"(codec {self.decoder.codec}{refused})"
            )

    @property
    def complete(self) -> bool:
        """Whether no frame is missing, so far as the file tells."""
        return self.decoder.is_complete

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last one."""
        return self._last - self.start + self._step

    @property
    def rate(self) -> float:
        """Frames a second: as claimed where the frames bear it out, else as counted."""
        counted = self.decoded / self.duration
        claimed = self.decoder.rate
        # Frames that are missing make the count less; otherwise uneven steps belie the claim.
        is_low = self.complete and counted < claimed / _SLACK
        # Under a second the count is too coarse to contradict it.
        if claimed and (self.decoded < claimed or not (is_low or counted > claimed * _SLACK)):
            return claimed
        return counted

    @property
    def _step(self) -> float:
        """Seconds that the last frame is taken to be shown: as long as the one before, if likely."""
        if self.decoded < 2:  # noqa: PLR2004 # a step needs two
            return 1 / (self.decoder.rate or _USUAL_RATE)
        mean = (self._last - self.start) / (self.decoded - 1)
        return self._gap if _ROUNDED < abs(self._gap - mean) < mean else mean

    def _read_time(self, frame: TimedFrame) -> float:
        """Count *frame*, and return the second at which it is shown."""
        time = frame.time
        if self.decoded == 0:
            # A film that begins before second 0 is moved there; in AVI the first frame is there.
            skipped = self.decoder.skipped / (self.decoder.rate or _USUAL_RATE)
            if time < 0 or "avi" in self.decoder.formats:
                self._shift = skipped - time
            self.start = self._last = time + self._shift if math.isfinite(time) else skipped
        else:
            # Files without times, or with times that run backwards, count by their rate.
            forward = self._last + 1 / (self.decoder.rate or _USUAL_RATE)
            time += self._shift
            before, self._last = self._last, time if time > self._last else forward
            self._gap = self._last - before
        self.decoded += 1
        return self._last

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
