"""How far each sample of a video fulfils a prompt: a factor on its score, 1 where nothing is asked.

A wish shifts scores, it never makes a match: the factor stays between `_FLOOR` and 1.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.search.prompt import Wish
from memories_async.local.engine.vision.colours import NAMES
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["weights"]

_FLOOR = 0.5
_ABSENT = 0.5
"""Presence where the whole video lacks the colour, so that it tells no moment from another."""
_SOFT_FLOOR = 0.7
"""Motion and light are weaker wishes than a colour named."""
_NOTICED = 0.003
"""Share of the picture below which a colour is as good as absent."""
_PLENTY = 0.05
_MUCH = 0.15
"""Share at which an unwanted colour counts in full."""


def weights(wish: Wish, index: PixelIndex) -> Floats:
    """Give a factor for each sample of *index*."""
    factor = np.ones(len(index.samples.times), np.float32)
    for name in wish.wanted:
        factor = factor * (_FLOOR + (1 - _FLOOR) * _presence(_share(name, index)))
    for name in wish.unwanted:
        absence = 1 - np.minimum(_share(name, index) / _MUCH, 1)
        factor = factor * (_FLOOR + (1 - _FLOOR) * absence)
    if wish.moving is not None:
        motion = _at_samples(index.signals.motion, index)
        factor = factor * _soft(motion / (motion + 1), wanted=wish.moving)
    if wish.bright is not None:
        light = (_at_samples(index.signals.light, index) - 25) / 45
        factor = factor * _soft(np.clip(light, 0, 1, dtype=np.float32), wanted=wish.bright)
    return np.asarray(factor, np.float32)


def _share(name: str, index: PixelIndex) -> Floats:
    return index.samples.colours[:, NAMES.index(name)]


def _presence(share: Floats) -> Floats:
    """Measure a colour against the most of it that the video has, up to plenty."""
    most = float(share.max())
    if most < _NOTICED:
        return np.full_like(share, _ABSENT)
    # What is there all the time (a red wall) tells no moment from another.
    always = float(np.percentile(share, 10))
    if most - always < _NOTICED:
        return np.ones_like(share)
    return np.asarray(np.clip((share - always) / min(most - always, _PLENTY), 0, 1), np.float32)


def _soft(share: Floats, *, wanted: bool) -> Floats:
    return _SOFT_FLOOR + (1 - _SOFT_FLOOR) * (share if wanted else 1 - share)


def _at_samples(values: Floats, index: PixelIndex) -> Floats:
    """Average a signal over a quarter of a second on each side of every sample."""
    times = index.signals.times
    first = np.searchsorted(times, index.samples.times - 0.26)
    last = np.maximum(np.searchsorted(times, index.samples.times + 0.26), first + 1)
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float32)
