"""Score every sample of a video for a query; look closer where the query is a thing, not a view.

Under a camera that stands still all frames look alike. Where the query covers a small part of such
a shot, it is a thing that comes and goes: then every frame's points are compared, and likeness of
whole frames does not join them.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.camera import camera
from memories_async.local.engine.index import PixelIndex, reduced_size
from memories_async.local.engine.matching import Query, compare, shot_of
from memories_async.local.engine.score import KEEP, score

__all__ = ["ranking"]

_PART = 0.4
"""Share of the picture up to which a query is a thing."""
_ENOUGH = 0.6
"""Share of the best sample's agreeing points that counts as all of them."""
_LONG = 6.0
"""Seconds; shorter shots are answered whole."""
_NEAR = 300
"""Samples around the best one that are looked at closer."""


def ranking(asked: Query, index: PixelIndex, factor: Floats) -> tuple[Floats, int]:
    """Give the score of each sample, times *factor*; and the shot to be cut strictly, or -1."""
    seen = compare(asked, index)
    scores = score(seen.evidence()) * factor
    best = int(scores.argmax())
    shot = int(shot_of(index)[best])
    bounds = index.facts.shots[shot]
    if float(scores[best]) < KEEP or bounds.end_time - bounds.start_time < _LONG:
        return scores, -1
    if seen.share(index.samples, best, reduced_size(index)) > _PART:
        return scores, -1
    inside = np.flatnonzero(shot_of(index) == shot)
    if camera(inside.tolist(), index) != "still camera":
        return scores, -1
    near = inside[np.argsort(np.abs(inside - best), kind="stable")[:_NEAR]]
    seen = seen.closer(index.samples, near)
    return score(seen.evidence()) * factor * _as_well(seen.counts, inside), shot


def _as_well(counts: Floats, inside: Numbers) -> Floats:
    """Measure each sample of a shot against the best one: the place around a thing agrees too."""
    share = np.ones(len(counts), np.float32)
    most = float(counts[inside].max())
    share[inside] = np.minimum(counts[inside] / (_ENOUGH * most), 1) ** 2
    return share
