"""How shots were filmed: whether the camera stood still, and whether a cut stays in one place.

Moving things pull their own points along; the transform that most points agree on, spread over the
picture, is the camera's. A cut stays in one place when points of both shots agree on one transform
and are spread over the pictures: a closer view, a jump in time, a step aside. Points that keep their
position while the pictures differ belong to a logo or a caption over them.
"""

from __future__ import annotations

from attrs import evolve

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.vision.index import PixelIndex, Samples, Staging
from memories_async.local.engine.vision.local_features import fit_similarity, match_points

__all__ = ["add_staging"]

_PAIRS = 8
"""Pairs of neighbouring samples compared in a shot."""
_CAMERA_POINTS = 15
_CAMERA_SPREAD = 0.35
"""Inliers must span this share of the picture's width and height."""
_STILL, _MOVING = 1.2, 3.0
"""Pixels (of 360) that the picture's corners move from one sample to the next."""
_COLOURS = 0.6
"""Likeness of colours below which points are not compared."""
_PLACE_POINTS = 8
_NARROW, _WIDE = 0.1, 0.3
"""Shares of width and height that inliers must span: in both pictures, and in one."""
_OVERLAY_MOVES, _OVERLAY_FILLS = 4.0, 0.5
"""An overlay moves by fewer pixels, and fills a smaller share of the picture."""


def add_staging(index: PixelIndex) -> PixelIndex:
    """Return *index* with its staging, measured from its samples."""
    shot, size = index.shot_numbers, np.array(index.picture_size, np.float32)
    inside = [np.flatnonzero(shot == number) for number in range(len(index.facts.shots))]
    movements = [_measure_camera(numbers.tolist(), index.samples, size) for numbers in inside]
    stays = [
        number > 0 and _shows_same_place(inside[number - 1], inside[number], index.samples, size)
        for number in range(len(inside))
    ]
    staging = Staging(
        still=np.array([one is not None and one < _STILL for one in movements], np.bool_),
        moving=np.array([one is not None and one > _MOVING for one in movements], np.bool_),
        stays=np.array(stays, np.bool_),
    )
    return evolve(index, staging=staging)


def _measure_camera(inside: list[int], samples: Samples, size: Floats) -> float | None:
    """Measure how far the camera moves between the samples *inside*; None if they do not tell.

    In pixels that the picture's corners move from one sample to the next; the median.
    """
    if len(inside) < 2:  # noqa: PLR2004 # a pair
        return None
    count = min(_PAIRS, len(inside) - 1)
    chosen = sorted({at * (len(inside) - 1) // count for at in range(count)})
    movements: list[float] = []
    for at in chosen:
        one, other = samples.get_points(inside[at]), samples.get_points(inside[at + 1])
        left, right = match_points(one, other)
        transform, inliers = fit_similarity(left, right)
        if transform is None or int(inliers.sum()) < _CAMERA_POINTS:
            continue
        if (np.ptp(left[inliers], axis=0) >= _CAMERA_SPREAD * size).all():
            movements.append(_measure_movement(transform, size))
    return float(np.median(movements)) if len(movements) * 2 >= len(chosen) else None


def _measure_movement(transform: Floats, size: Floats) -> float:
    """Measure the mean distance, in pixels, by which *transform* moves a picture's corners."""
    corners = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)], np.float32)
    corners[:, :2] *= size
    return float(np.linalg.norm(corners @ transform.T - corners[:, :2], axis=1).mean())


def _shows_same_place(before: Numbers, after: Numbers, samples: Samples, size: Floats) -> bool:
    """Whether some samples on both sides of a cut show one place; False without samples."""
    return any(
        _is_same_place(one, other, samples, size)
        for one in _choose_samples(before[::-1])
        for other in _choose_samples(after)
    )


def _choose_samples(inside: Numbers) -> set[int]:
    """Choose samples near the cut at which *inside* begins, and the one in the middle."""
    # The one beside the cut may still show the other shot, if this is a dissolve.
    near = inside[1:3] if len(inside) > 2 else inside  # noqa: PLR2004 # one beside, one more
    return {int(at) for at in (*near, *inside[len(inside) // 2 :][:1])}


def _is_same_place(one: int, other: int, samples: Samples, size: Floats) -> bool:
    """Whether two samples show one place, and not one overlay."""
    colours = samples.looks.colours
    if float(colours[one] @ colours[other]) < _COLOURS:
        return False
    first, second = samples.get_points(one), samples.get_points(other)
    left, right = match_points(first, second)
    transform, inliers = fit_similarity(left, right)
    if transform is None or int(inliers.sum()) < _PLACE_POINTS:
        return False
    left, right = left[inliers] / size, right[inliers] / size
    spans = [float(np.ptp(positions, axis=0).min()) for positions in (left, right)]
    if min(spans) < _NARROW or max(spans) < _WIDE:
        return False
    if _measure_movement(transform, size) >= _OVERLAY_MOVES:
        return True
    return _count_cells(left) >= _OVERLAY_FILLS * _count_cells(first.places / size)


def _count_cells(places: Floats) -> int:
    """Count the eighths of width and height in which there is a point."""
    return len({(int(x * 8), int(y * 8)) for x, y in places.tolist()})
