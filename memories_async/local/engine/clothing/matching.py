"""Whose picture shows clothing like that of a passer-by before a fixed camera; never who that is.

Blobs are followed from sample to sample, and the whole of a track is compared at once: one bad
moment decides nothing. The same clothes look the same all through a film, so that of the tracks like
a picture only those count that are hardly less so than the best; and each goes to one picture.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from memories_async.local.engine._cv import Floats, np, unit
from memories_async.local.engine.clothing.tracks import tracks
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["LIKE", "Worn", "who_wore"]

LIKE = 0.8
"""Likeness from which clothing is called similar; chosen by `benchmarks/clothing.py`."""
_BESIDE = 0.02
"""How much less like a picture than the best track another may be."""
_SHORTEST = 3
"""Blobs that a track must have: a shadow or a reflection seldom has."""


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
    passers = [track for track in tracks(index) if len(track) >= _SHORTEST]
    seen = unit(index.blobs.clothing.astype(np.float32))
    likest: dict[tuple[int, ...], tuple[float, str]] = {}
    for name, readings in pictures.items():
        # Of the readings of a picture, the likeliest counts; of the moments of a track, the middle one.
        likeness = (seen @ readings.T).max(axis=1)
        typical = {track: float(np.median(likeness[list(track)])) for track in passers}
        least = max(LIKE, max(typical.values(), default=0.0) - _BESIDE)
        for track in passers:
            if typical[track] >= least:
                likest[track] = max(likest.get(track, (0.0, "")), (typical[track], name))
    worn = (_worn(name, value, track, index) for track, (value, name) in likest.items())
    return tuple(sorted(worn, key=lambda one: one.start_time))


def _worn(name: str, likeness: float, track: tuple[int, ...], index: PixelIndex) -> Worn:
    times = index.samples.times
    first, last = (int(index.blobs.samples[track[at]]) for at in (0, -1))
    end = float(times[last + 1]) if last + 1 < len(times) else index.facts.duration
    return Worn(name=name, start_time=float(times[first]), end_time=end, likeness=likeness)
