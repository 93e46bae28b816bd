"""Follow figures from sample to sample: which of them are one passer-by, seen again and again."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.index import PixelIndex, shot_of

__all__ = ["ways"]

_LOST = 2
"""Samples after which a figure that is not seen again is another one."""
_STRIDE = 1.0
"""How far a figure comes from one sight to the next, in its own heights."""


@frozen(kw_only=True)
class _Sights:
    """Where and when each figure is."""

    samples: Numbers
    shots: Numbers
    middles: Floats
    talls: Floats

    def goes_on(self, last: int, at: int) -> bool:
        """Say whether the figures *last* and *at* may be the same one, seen again."""
        later = self.samples[last] < self.samples[at] and self.shots[last] == self.shots[at]
        return bool(later) and self.apart(last, at) < _STRIDE

    def apart(self, last: int, at: int) -> float:
        """Measure the way between two figures in heights of the second."""
        return float(np.linalg.norm(self.middles[last] - self.middles[at]) / self.talls[at])


def ways(index: PixelIndex) -> tuple[tuple[int, ...], ...]:
    """Sort the figures of *index* (their places) into the ways of passers-by."""
    sights = _sights(index)
    ended: list[list[int]] = []
    going: list[list[int]] = []
    for at, sample in enumerate(sights.samples.tolist()):
        ended += [way for way in going if sample - sights.samples[way[-1]] > _LOST]
        going = [way for way in going if sample - sights.samples[way[-1]] <= _LOST]
        near = [way for way in going if sights.goes_on(way[-1], at)]
        nearest = min(near, key=lambda way: sights.apart(way[-1], at), default=None)
        if nearest is None:
            going.append([at])
        else:
            nearest.append(at)
    return tuple(tuple(way) for way in [*ended, *going])


def _sights(index: PixelIndex) -> _Sights:
    figures, facts = index.figures, index.facts
    boxes, size = figures.boxes, np.array((facts.width, facts.height), np.float32)
    return _Sights(
        samples=figures.samples,
        shots=shot_of(index)[figures.samples],
        middles=np.asarray((boxes[:, :2] + boxes[:, 2:] / 2) * size, np.float32),
        talls=np.asarray(boxes[:, 3] * size[1], np.float32),
    )
