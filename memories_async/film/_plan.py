"""Plan into which pieces a long film is cut, from its length and the times of its cuts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import frozen

from memories_async._protocol.value import Value

LONGEST = 300.0
"""Seconds of a video that can be captioned (memories.ai docs, "Video Caption")."""
SHORTEST = 20.0
"""Seconds that a video must have to be captioned (memories.ai docs, "Video Caption")."""
_MARGIN = 1.0
"""Seconds by which a piece is shorter: the last frame and the sound may end a little later."""


@frozen(kw_only=True, slots=False)
class Piece(Value):
    """A part of a film that is captioned by itself."""

    start_time: float
    """Seconds from the beginning of the film."""
    end_time: float
    """Seconds from the beginning of the film."""
    at_cut: bool
    """Whether the piece ends where a shot ends; false where no shot ends in time."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end_time - self.start_time


@frozen(kw_only=True, slots=False)
class FilmPlan(Value):
    """What captioning a film takes: one caption is billed for each piece."""

    duration: float
    """Seconds."""
    size: int
    """Bytes of the file."""
    pieces: tuple[Piece, ...]
    is_whole: bool
    """Whether the file is within the service's limits and is sent as it is."""


def plan_pieces(
    duration: float,
    cuts: Iterable[float],
    *,
    longest: float = LONGEST - _MARGIN,
    shortest: float = SHORTEST,
) -> tuple[Piece, ...]:
    """Divide a film of *duration* seconds into as few pieces as possible, at *cuts* where it can.

    *cuts* are the seconds at which a shot ends. Each piece is *shortest* to *longest* seconds long;
    only a film that is shorter gives a shorter piece. Of the cuts that fit, the one nearest to an
    even division is taken. Raises `ValueError` where *shortest* is more than half of *longest*.
    """
    if not 0 < shortest <= longest / 2:
        raise ValueError(f"shortest must be above 0 and at most half of {longest}, not {shortest}")
    known, pieces, start = sorted(cuts), list[Piece](), 0.0
    while (left := duration - start) > longest:
        count = math.ceil(left / longest)
        # What is left after this piece must fit into the others, and not be too short for one.
        first = max(start + shortest, duration - (count - 1) * longest)
        last = min(start + longest, duration - shortest)
        even = min(max(start + left / count, first), last)
        fitting = [cut for cut in known if first <= cut <= last]
        end = min(fitting, key=lambda cut: abs(cut - even), default=even)
        end = round(end, 3)
        pieces.append(Piece(start_time=start, end_time=end, at_cut=bool(fitting)))
        start = end
    return (*pieces, Piece(start_time=start, end_time=round(duration, 3), at_cut=True))
