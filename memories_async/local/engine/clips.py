"""Grow clips around the best frames: as far as frames look alike, never past a cut."""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.index import PixelIndex
from memories_async.local.engine.matching import shot_of
from memories_async.local.engine.protocol import Match

__all__ = ["grow"]

_ALIKE = 0.7
_MOST = 20
_FULFILS = 0.6


def grow(scores: Floats, index: PixelIndex, *, keep: float, factor: Floats) -> tuple[Match, ...]:
    """Give the clips around frames that score at least *keep*, best first.

    *factor* says how far each frame fulfils the prompt: a frame that fulfils it much less than the
    best one does not join, however alike.
    """
    left = scores.copy()
    clips: list[Match] = []
    while len(clips) < _MOST and float(left.max()) >= keep:
        best = int(left.argmax())
        first, last = _extent(best, left, index, factor)
        left[first : last + 1] = -1
        start, end = _seconds(first, last, index)
        clips.append(
            Match(
                start_time=round(start, 3),
                end_time=round(end, 3),
                score=round(float(scores[best]), 4),
            )
        )
    return tuple(clips)


def _extent(best: int, scores: Floats, index: PixelIndex, factor: Floats) -> tuple[int, int]:
    """Walk from *best* both ways while frames score half of it or look alike, within its shot."""
    shot = shot_of(index)
    looks = index.samples.looks
    alike = (
        looks.colours @ looks.colours[best]
        + looks.edges @ looks.edges[best]
        + looks.thumb @ looks.thumb[best]
    ) / 3
    joins = (shot == shot[best]) & ((scores >= scores[best] / 2) | (alike >= _ALIKE))
    # A frame below zero belongs to a better clip already.
    joins &= (factor >= _FULFILS * factor[best]) & (scores >= 0)
    first = last = best
    while first > 0 and joins[first - 1]:
        first -= 1
    while last + 1 < len(joins) and joins[last + 1]:
        last += 1
    return first, last


def _seconds(first: int, last: int, index: PixelIndex) -> tuple[float, float]:
    """Set borders half way to the next sample, or at the cut where there is one."""
    times = index.samples.times
    shot = shot_of(index)
    cut = index.facts.shots[int(shot[first])]
    start, end = cut.start_time, cut.end_time
    if first > 0 and shot[first - 1] == shot[first]:
        start = float(times[first - 1] + times[first]) / 2
    if last + 1 < len(times) and shot[last + 1] == shot[last]:
        end = float(times[last] + times[last + 1]) / 2
    return start, min(max(end, start), float(np.float64(index.facts.duration)))
