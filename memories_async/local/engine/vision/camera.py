"""Whether the camera stood still: where the points of one sample are found in the next one.

Moving things pull their own points along; the transform that most points agree on, spread over the
picture, is the camera's.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.vision.index import PixelIndex, Samples, points_of, reduced_size
from memories_async.local.engine.vision.local_features import agreement, pairs

__all__ = ["stood_still", "travel"]

_PAIRS = 8
"""Pairs of neighbouring samples looked at in a shot."""
_ENOUGH = 15
_SPREAD = 0.35
"""Agreeing points must span this share of the picture's width and height."""
_STILL, _MOVING = 1.2, 3.0
"""Pixels (of 360) that the picture's corners travel from one sample to the next."""


def stood_still(inside: list[int], index: PixelIndex) -> bool | None:
    """Say whether the camera stood for the samples at places *inside*; None if they do not tell."""
    if len(inside) < 2:  # noqa: PLR2004 # a pair
        return None
    count = min(_PAIRS, len(inside) - 1)
    chosen = sorted({at * (len(inside) - 1) // count for at in range(count)})
    size = np.array(reduced_size(index), np.float32)
    ways = [_way(inside[at], inside[at + 1], index.samples, size) for at in chosen]
    known = [way for way in ways if way is not None]
    if len(known) * 2 < len(ways):
        return None
    way = float(np.median(known))
    return True if way < _STILL else False if way > _MOVING else None


def _way(first: int, second: int, samples: Samples, size: Floats) -> float | None:
    """Mean distance that the corners travel, or None where the points do not tell."""
    left, right = pairs(points_of(samples, first), points_of(samples, second))
    transform, kept = agreement(left, right)
    if transform is None or int(kept.sum()) < _ENOUGH:
        return None
    if (np.ptp(left[kept], axis=0) < _SPREAD * size).any():
        return None
    return travel(transform, size)


def travel(transform: Floats, size: Floats) -> float:
    """Mean distance, in pixels, that *transform* moves the corners of a picture of *size*."""
    corners = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)], np.float32)
    corners[:, :2] *= size
    return float(np.linalg.norm(corners @ transform.T - corners[:, :2], axis=1).mean())
