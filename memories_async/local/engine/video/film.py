"""Frames of a video file with the times at which they are shown.

Reads straight through (seeking to each sample is up to twenty times slower), converts only the
frames asked for, and takes times from the file, never from frame numbers: on variable-rate files
those drift by many seconds. One frame is held at a time, so memory does not grow with length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.video.opening import counts_frames, opened

__all__ = ["Film", "Frame"]

_EARLY = 0.001
"""Seconds by which a frame may come before its sample time; times are rounded in files."""
_ODD_RATE = 1000.0
_ODD_COUNT = 1e9
_USUAL_RATE = 25.0
_ROUNDED = 0.002
"""Seconds by which steps between frames differ where a file rounds its times."""


@frozen(kw_only=True)
class Frame:
    """One picture and the second at which it is shown."""

    time: float
    picture: Picture = field(repr=False)


@define(kw_only=True)
class Film:
    """An open video file; a context manager. Figures are final once `frames` has run out."""

    path: Path
    source: cv2.VideoCapture = field(repr=False)
    promised: int
    """Frames that the container claims to hold; 0 when it does not say."""
    reckoned: bool
    """Whether that is only the claimed rate times the claimed duration, as for Matroska."""
    claimed_rate: float
    """Frames a second that the container claims; 0 when absurd."""
    width: int = 0
    height: int = 0
    decoded: int = 0
    _first: float = 0.0
    _last: float = -1.0
    _gap: float = 0.0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the video at *path*. Raises `UnreadableVideo`."""
        source = opened(path)
        rate = float(source.get(cv2.CAP_PROP_FPS))
        promised = float(source.get(cv2.CAP_PROP_FRAME_COUNT))
        return cls(
            path=path,
            source=source,
            reckoned=not counts_frames(path),
            promised=int(promised) if math.isfinite(promised) and 0 < promised < _ODD_COUNT else 0,
            claimed_rate=rate if math.isfinite(rate) and 0 < rate < _ODD_RATE else 0.0,
        )

    def frames(self, rate: float) -> Iterator[Frame]:
        """Give the first frame at or after each 1/*rate* seconds; decode everything."""
        due = 0.0
        while self._grab():
            time = self._last - self._first
            if time + _EARLY < due:
                continue
            ok, picture = self.source.retrieve()
            if not ok or picture is None or picture.size == 0:  # pyright: ignore[reportUnnecessaryComparison] # the stub forgets None
                continue
            due = (math.floor((time + _EARLY) * rate) + 1) / rate
            self.height, self.width = picture.shape[:2]
            yield Frame(time=time, picture=np.asarray(picture, np.uint8))
        if not self.width:
            raise UnreadableVideo("the file holds no picture that can be decoded")

    @property
    def complete(self) -> bool:
        """Whether nothing is missing; containers often promise one or two frames too many."""
        least = 0.98 * self.promised - 2
        if self.reckoned and self.claimed_rate:
            return self.duration >= least / self.claimed_rate
        return self.decoded >= least

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last one."""
        return self._last - self._first + self._step

    @property
    def rate(self) -> float:
        """Frames a second: as claimed where the frames bear it out, else as counted."""
        counted = self.decoded / self.duration
        claimed = self.claimed_rate
        # Frames that are missing make the count less; otherwise uneven steps belie the claim.
        slack = 1.1 if self.complete else 2.0
        # Under a second the count is too coarse to contradict it.
        borne_out = self.decoded < claimed or claimed / slack < counted < claimed * slack
        return claimed if claimed and borne_out else counted

    @property
    def _step(self) -> float:
        """Seconds that the last frame is taken to be shown: as long as the one before, if likely."""
        if self.decoded < 2:  # noqa: PLR2004 # a step needs two
            return 1 / (self.claimed_rate or _USUAL_RATE)
        mean = (self._last - self._first) / (self.decoded - 1)
        return self._gap if _ROUNDED < abs(self._gap - mean) < mean else mean

    def _grab(self) -> bool:
        try:
            if not self.source.grab():
                return False
        except cv2.error:
            return False
        time = float(self.source.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if not math.isfinite(time):
            time = self._last
        if self.decoded == 0:
            self._first = self._last = time
        else:
            # Files without times, or with times that run backwards, count by their rate.
            forward = self._last + 1 / (self.claimed_rate or _USUAL_RATE)
            before, self._last = self._last, time if time > self._last else forward
            self._gap = self._last - before
        self.decoded += 1
        return True

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self.source.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
