"""Grow clips around the best frames: as far as frames look alike, past no cut to another place."""

from __future__ import annotations

from itertools import pairwise

from memories_async.local.engine._cv import Flags, Floats, np
from memories_async.local.engine.protocol import Match
from memories_async.local.engine.search.ranking import Ranked
from memories_async.local.engine.vision.index import PixelIndex, shot_of

__all__ = ["grow"]

_ALIKE = 0.7
_WHOLE = 8.0
"""Seconds; a shot up to this long is one moment, however much changes in it."""
_MOST = 20
_FULFILS = 0.6
_GAP = 3


def grow(ranked: Ranked, index: PixelIndex, *, keep: float, factor: Floats) -> tuple[Match, ...]:
    """Give the clips around frames that score at least *keep*, best first.

    *factor* says how far each frame fulfils the prompt: a frame that fulfils it much less than the
    best one does not join, however alike. Where frames join by their scores alone, short gaps are
    filled.
    """
    left = ranked.scores.copy()
    shot = shot_of(index)
    clips: list[Match] = []
    while len(clips) < _MOST and float(left.max()) >= keep:
        best = int(left.argmax())
        if shot[best] == ranked.strict:
            well = left >= max(keep, ranked.level * float(left[best]))
            joins = _bridged(well) & (shot == shot[best])
        else:
            well = left >= left[best] / 2
            joins = (well | _belongs(best, index)) & _one_place(best, index)
        # A frame below zero belongs to a better clip already.
        joins &= (factor >= _FULFILS * factor[best]) & (left >= 0)
        first, last = _extent(best, joins)
        left[first : last + 1] = -1
        start, end = _seconds(first, last, index)
        clips.append(
            Match(
                start_time=round(start, 3),
                end_time=round(end, 3),
                score=round(float(ranked.scores[best]), 4),
            )
        )
    return tuple(clips)


def _one_place(best: int, index: PixelIndex) -> Flags:
    """Say of all samples whether their shot shows the place of the one at *best*."""
    place = np.cumsum(~index.staging.stays)[shot_of(index)]
    return np.asarray(place == place[best], np.bool_)


def _belongs(best: int, index: PixelIndex) -> Flags:
    """Say which samples go with the one at *best*: those of short shots, and what looks like it."""
    lengths = np.array([shot.end_time - shot.start_time for shot in index.facts.shots])
    return np.asarray(
        (lengths[shot_of(index)] <= _WHOLE) | (_alike(best, index) >= _ALIKE), np.bool_
    )


def _alike(best: int, index: PixelIndex) -> Floats:
    """Compare all samples with the one at *best*, by their looks."""
    looks = index.samples.looks
    total = (
        looks.colours @ looks.colours[best]
        + looks.edges @ looks.edges[best]
        + looks.thumb @ looks.thumb[best]
    )
    return np.asarray(total / 3, np.float32)


def _bridged(good: Flags) -> Flags:
    """Fill gaps of up to `_GAP` samples: something passed in front, or a frame was blurred."""
    filled = good.copy()
    places = np.flatnonzero(good)
    for before, after in pairwise(places.tolist()):
        if after - before <= _GAP + 1:
            filled[before:after] = True
    return filled


def _extent(best: int, joins: Flags) -> tuple[int, int]:
    """Walk from *best* both ways while frames join."""
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
    start = index.facts.shots[int(shot[first])].start_time
    end = index.facts.shots[int(shot[last])].end_time
    if first > 0 and shot[first - 1] == shot[first]:
        start = float(times[first - 1] + times[first]) / 2
    if last + 1 < len(times) and shot[last + 1] == shot[last]:
        end = float(times[last] + times[last + 1]) / 2
    return start, min(max(end, start), float(np.float64(index.facts.duration)))
