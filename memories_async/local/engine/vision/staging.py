"""How shots were filmed: whether the camera stood still, and whether a cut stays in one place.

A cut stays where it was when points of both shots agree in one geometry, spread over the pictures:
a closer view, a jump in time, a step aside. What keeps its place on the screen while the pictures
differ is a logo or a caption over them, not the place.
"""

from __future__ import annotations

from attrs import evolve

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.vision.camera import stood_still, travel
from memories_async.local.engine.vision.index import (
    PixelIndex,
    Samples,
    Staging,
    points_of,
    reduced_size,
    shot_of,
)
from memories_async.local.engine.vision.local_features import agreement, pairs

__all__ = ["staged"]

_COLOURS = 0.6
"""Likeness of colours under which points are not compared at all."""
_ENOUGH = 8
_NARROW, _WIDE = 0.1, 0.3
"""Shares of width and height that agreeing points must span: in both pictures, and in one."""
_MOVED, _MOST = 4.0, 0.5
"""What lies over both pictures moves by fewer pixels, and fills a smaller share of the picture."""


def staged(index: PixelIndex) -> PixelIndex:
    """Give *index* with its staging, found out from its samples."""
    shot = shot_of(index)
    inside = [np.flatnonzero(shot == number) for number in range(len(index.facts.shots))]
    size = np.array(reduced_size(index), np.float32)
    stood = [stood_still(places.tolist(), index) for places in inside]
    stays = [
        number > 0 and _same_place(inside[number - 1], inside[number], index.samples, size)
        for number in range(len(inside))
    ]
    staging = Staging(
        still=np.array([one is True for one in stood], np.bool_),
        moving=np.array([one is False for one in stood], np.bool_),
        stays=np.array(stays, np.bool_),
    )
    return evolve(index, staging=staging)


def _same_place(before: Numbers, after: Numbers, samples: Samples, size: Floats) -> bool:
    """Compare a few samples on both sides of a cut; a shot without samples has no place."""
    return any(
        _agree(one, other, samples, size)
        for one in _chosen(before[::-1])
        for other in _chosen(after)
    )


def _chosen(inside: Numbers) -> set[int]:
    """Choose samples near the cut that *inside* begins at, and the one in the middle."""
    # The one beside the cut may still show the other shot, if this is a dissolve.
    near = inside[1:3] if len(inside) > 2 else inside  # noqa: PLR2004 # one beside, one more
    return {int(at) for at in (*near, *inside[len(inside) // 2 :][:1])}


def _agree(one: int, other: int, samples: Samples, size: Floats) -> bool:
    """Say whether two samples show one place, and not one overlay."""
    colours = samples.looks.colours
    if float(colours[one] @ colours[other]) < _COLOURS:
        return False
    first, second = points_of(samples, one), points_of(samples, other)
    left, right = pairs(first, second)
    transform, kept = agreement(left, right)
    if transform is None or int(kept.sum()) < _ENOUGH:
        return False
    if not _spread(left[kept] / size, right[kept] / size):
        return False
    if travel(transform, size) >= _MOVED:
        return True
    return _cells(left[kept] / size) >= _MOST * _cells(first.places / size)


def _spread(left: Floats, right: Floats) -> bool:
    """Say whether points that agree span more than a spot of both pictures, and much of one."""
    spans = [float(np.ptp(places, axis=0).min()) for places in (left, right)]
    return min(spans) >= _NARROW and max(spans) >= _WIDE


def _cells(places: Floats) -> int:
    """Count the eighths of width and height in which there is a point."""
    return len({(int(x * 8), int(y * 8)) for x, y in places.tolist()})
