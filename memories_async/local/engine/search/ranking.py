"""Score every sample of a video for a query; look closer where a camera stood still for long.

Under such a camera all frames look alike: its place is found at once, the moment is not. A query
that covers a small part of the picture is a thing that comes and goes; then every frame's points
are compared. A query that covers most of it is a state of the place; then frames that differ from
the best one, as frames of one state do not, count less.
"""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.search.matching import Query, compare
from memories_async.local.engine.search.score import KEEP, score
from memories_async.local.engine.vision.index import PixelIndex, reduced_size, shot_of

__all__ = ["Ranked", "ranking"]

_PART = 0.4
"""Share of the picture up to which a query is a thing."""
_WHOLE = 0.8
"""Share from which, and up to the inverse of which, a query is the whole picture."""
_ENOUGH = 0.6
"""Share of the best sample's agreeing points that counts as all of them."""
_LONG = 8.0
"""Seconds; shorter shots are answered whole."""
_NEAR = 300
"""Samples around the best one that are looked at closer."""
_OTHERWISE = 0.45
"""What the score of another state of the place is worth."""
_AROUND = 2.0
"""Seconds on each side of a sample that show how much its state moves by itself."""
_LEAST, _TIMES = 0.012, 2.0
"""Another state differs by more than this, and by so many times that movement."""


@frozen(kw_only=True)
class Ranked:
    """The score of each sample, and how clips are to be cut in one shot."""

    scores: Floats
    strict: int = -1
    """A shot in which frames join by their scores alone, however alike; -1 is none."""
    level: float = 0.0
    """Share of the best frame's score that they need there."""


def ranking(asked: Query, index: PixelIndex, factor: Floats) -> Ranked:
    """Score each sample, times *factor*."""
    seen = compare(asked, index)
    scores = score(seen.evidence())
    best = int((scores * factor).argmax())
    shot = int(shot_of(index)[best])
    bounds = index.facts.shots[shot]
    long = bounds.end_time - bounds.start_time >= _LONG
    if not long or not index.staging.still[shot] or float(scores[best]) < KEEP:
        return Ranked(scores=scores * factor)
    inside = np.flatnonzero(shot_of(index) == shot)
    covered = seen.share(index.samples, best, reduced_size(index))
    if covered > _PART:
        if _WHOLE < covered < 1 / _WHOLE:
            best = int(inside[seen.likeness[inside, :3].sum(axis=1).argmax()])
        # The place is there all the time: what tells moments apart is how it looked.
        scores[inside] = float(scores[inside].max()) * _state(best, inside, index)
        return Ranked(scores=scores * factor, strict=shot, level=0.5)
    near = inside[np.argsort(np.abs(inside - best), kind="stable")[:_NEAR]]
    seen = seen.closer(index.samples, near)
    scores = score(seen.evidence()) * _as_well(seen.counts, inside)
    return Ranked(scores=scores * factor, strict=shot)


def _as_well(counts: Floats, inside: Numbers) -> Floats:
    """Measure each sample of a shot against the best one: the place around a thing agrees too."""
    share = np.ones(len(counts), np.float32)
    most = float(counts[inside].max())
    share[inside] = np.minimum(counts[inside] / (_ENOUGH * most), 1) ** 2
    return share


def _state(best: int, inside: Numbers, index: PixelIndex) -> Floats:
    """Say what the samples of a shot are worth that look like *best*, and those that do not.

    Another state of the place differs more from it than what is near it in time.
    """
    thumb, times = index.samples.looks.thumb, index.samples.times
    apart = np.clip(1 - thumb[inside] @ thumb[best], 0, 1)
    around = np.abs(times[inside] - times[best]) <= _AROUND
    same = apart <= _LEAST + _TIMES * float(np.median(apart[around]))
    return np.where(same, 1 - apart, _OTHERWISE).astype(np.float32)
