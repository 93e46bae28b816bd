"""Whose picture shows clothing like that of a figure before a fixed camera; never who that is.

A figure is followed from sample to sample, and the whole of its way is compared at once: one bad
moment decides nothing. The same clothes look the same all through a film, so that of the ways like
a picture only those count that are hardly less so than the best; and each goes to one picture.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from memories_async.local.engine._cv import Floats, np, unit
from memories_async.local.engine.index import PixelIndex
from memories_async.local.engine.ways import ways

__all__ = ["LIKE", "Worn", "who_wore"]

LIKE = 0.8
"""Likeness from which clothing is called similar; chosen by `benchmarks/clothing.py`."""
_BESIDE = 0.02
"""How much less like a picture than the best way another may be."""
_SHORTEST = 3
"""Sights that a way must have: a shadow or a reflection seldom has."""


@frozen(kw_only=True)
class Worn:
    """A stretch during which clothing like that in somebody's picture was seen; seconds."""

    name: str
    start_time: float
    end_time: float
    likeness: float
    """0 to 1."""


def who_wore(index: PixelIndex, pictures: Mapping[str, Floats]) -> tuple[Worn, ...]:
    """Find clothing like that in each name's picture (see `worn_in`), in order of time."""
    passers = [way for way in ways(index) if len(way) >= _SHORTEST]
    seen = unit(index.figures.clothing.astype(np.float32))
    likest: dict[tuple[int, ...], tuple[float, str]] = {}
    for name, readings in pictures.items():
        # Of the readings of a picture, the likeliest counts; of the moments of a way, the middle one.
        likeness = (seen @ readings.T).max(axis=1)
        typical = {way: float(np.median(likeness[list(way)])) for way in passers}
        least = max(LIKE, max(typical.values(), default=0.0) - _BESIDE)
        for way in passers:
            if typical[way] >= least:
                likest[way] = max(likest.get(way, (0.0, "")), (typical[way], name))
    worn = (_worn(name, value, way, index) for way, (value, name) in likest.items())
    return tuple(sorted(worn, key=lambda one: one.start_time))


def _worn(name: str, likeness: float, way: tuple[int, ...], index: PixelIndex) -> Worn:
    times = index.samples.times
    first, last = (int(index.figures.samples[way[at]]) for at in (0, -1))
    end = float(times[last + 1]) if last + 1 < len(times) else index.facts.duration
    return Worn(name=name, start_time=float(times[first]), end_time=end, likeness=likeness)
