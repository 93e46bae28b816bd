"""Find the frames of H.264 and HEVC that need not be decoded: no sample and no other frame needs them.

Up to two thirds of a film's frames are B-frames from which nothing is predicted. The first bytes of a
packet tell which.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from attrs import define, field, frozen

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["SpareFrames"]

_AVCC, _HVCC = 7, 23
"""Least bytes of the records with which .mp4 and .mkv describe their streams."""
_SLICES = range(1, 6)
"""Kinds of H.264's NAL units that hold a part of a picture."""
_PICTURES, _UNREFERENCED = range(32), range(0, 15, 2)
"""The same for HEVC, and those from which nothing is predicted within their temporal layer."""
_NEAR = 16
"""Packets among which an earlier frame of the same slot is looked for."""


@frozen(kw_only=True)
class _NalUnits:
    """The layout of one stream's packets."""

    is_hevc: bool
    length_size: int
    """Bytes of the length before each NAL unit."""
    top_layer: int = 0
    """HEVC's highest temporal layer: nothing at all is predicted from its unreferenced pictures."""

    @classmethod
    def read(cls, codec: str, extradata: bytes | None) -> Self | None:
        """Read the layout from the stream's record; None where there is none."""
        record = extradata or b""
        if codec == "h264" and len(record) >= _AVCC and record[0] == 1:
            return cls(is_hevc=False, length_size=(record[4] & 3) + 1)
        if codec == "hevc" and len(record) >= _HVCC and record[0] == 1:
            top = max(1, record[21] >> 3 & 7) - 1
            return cls(is_hevc=True, length_size=(record[21] & 3) + 1, top_layer=top)
        return None

    def is_unreferenced(self, packet: memoryview) -> bool:
        """Whether no frame is predicted from the one in *packet*; False where that is not certain."""
        at = 0
        while at + self.length_size + 2 <= len(packet):
            length = int.from_bytes(packet[at : at + self.length_size], "big")
            at += self.length_size
            first, second = packet[at], packet[at + 1]
            if self.is_hevc and (kind := first >> 1 & 63) in _PICTURES:
                return kind in _UNREFERENCED and (second & 7) - 1 == self.top_layer
            if not self.is_hevc and first & 31 in _SLICES:
                return first >> 5 & 3 == 0
            at += length
        return False


@define(kw_only=True)
class SpareFrames:
    """Decides packet by packet; keeps the time stamps of the frames that are left out."""

    find_slot: Callable[[int], int]
    """Gives the slot of a time stamp; the first frame of each slot is a sample."""
    layout: _NalUnits
    _recent: deque[tuple[int, int]] = field(
        factory=lambda: deque[tuple[int, int]](maxlen=_NEAR), init=False
    )
    """Slot and time stamp of frames that are decoded."""
    _left_out: list[int] = field(factory=list[int], init=False)
    """A heap."""

    @classmethod
    def read(
        cls, codec: str, extradata: bytes | None, find_slot: Callable[[int], int]
    ) -> Self | None:
        """Read the stream's record; None where it does not tell which frames others need."""
        layout = _NalUnits.read(codec, extradata)
        return None if layout is None else cls(find_slot=find_slot, layout=layout)

    def take(self, packet: Packet[Stream]) -> bool:
        """Whether *packet* need not be decoded; its time stamp is kept then."""
        stamp = packet.pts
        if stamp is None or packet.is_discard:
            return False
        slot = self.find_slot(stamp)
        # Only what is shown before a frame already read: the last frame is always decoded.
        is_spare = (
            any(other > stamp for _, other in self._recent)
            and any(other < stamp and one == slot for one, other in self._recent)
            and self.layout.is_unreferenced(memoryview(packet))
        )
        if is_spare:
            heapq.heappush(self._left_out, stamp)
        else:
            self._recent.append((slot, stamp))
        return is_spare

    def pop(self, before: int | None) -> list[int]:
        """Give the time stamps left out that are less than *before*, rising; all of them for None."""
        stamps: list[int] = []
        while self._left_out and (before is None or self._left_out[0] < before):
            stamps.append(heapq.heappop(self._left_out))
        return stamps
