"""Decode a video file: its frames, with the times at which they are shown.

Reads straight through (seeking to each sample is up to twenty times slower), converts only the
frames asked for, and takes times from the file, never from frame numbers: on files of variable rate
those drift by many seconds. One frame is held at a time, so memory does not grow with length.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import UnreadableVideo

__all__ = ["Film", "Frame"]

_MOST = 70_000_000
"""Pixels of a picture; twice those of 8K."""
# How files begin whose container counts its frames: at byte 4 of QuickTime and MP4, at 0 of AVI.
_COUNTING = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"RIFF")
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
    """An open video file; a context manager. Its figures are final once `frames` has run out."""

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
        source = _open_capture(path)
        rate = float(source.get(cv2.CAP_PROP_FPS))
        promised = float(source.get(cv2.CAP_PROP_FRAME_COUNT))
        return cls(
            path=path,
            source=source,
            reckoned=not _counts_frames(path),
            promised=int(promised) if math.isfinite(promised) and 0 < promised < _ODD_COUNT else 0,
            claimed_rate=rate if math.isfinite(rate) and 0 < rate < _ODD_RATE else 0.0,
        )

    def frames(self, rate: float) -> Iterator[Frame]:
        """Yield the first frame at or after each 1/*rate* seconds; decode everything."""
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
        """Whether no frame is missing; containers often promise one or two too many."""
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
        """Close the file; may be called twice."""
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


def _open_capture(path: Path) -> cv2.VideoCapture:
    """Open the video at *path*, to be shown upright. Raises `UnreadableVideo`."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
    if size == 0:
        raise UnreadableVideo("the file is empty")
    source = None
    with contextlib.suppress(cv2.error):
        source = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if source is None or not source.isOpened():
        raise UnreadableVideo(
            "the file is no video that can be read: damaged, cut short, without pictures, "
            "or in a format unknown here"
        )
    _check_size(source)
    # The default of this switch has flipped between OpenCV releases.
    source.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return source


def _counts_frames(path: Path) -> bool:
    """Whether the container at *path* says how many frames it holds."""
    with path.open("rb") as file:
        start = file.read(8)
    return start[4:] in _COUNTING or start[:4] in _COUNTING


def _check_size(source: cv2.VideoCapture) -> None:
    """Refuse what would not fit in memory before a picture is decoded."""
    width, height = source.get(cv2.CAP_PROP_FRAME_WIDTH), source.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > _MOST:
        source.release()
        raise UnreadableVideo(
            f"pictures of {width:.0f}x{height:.0f} pixels are too large to decode"
        )
