"""How shots were filmed: whether the camera stood still, and whether a cut stays in one place.

Neighbouring samples of a shot are compared, and samples far apart, which show slow pans, tilts and
zooms. A cut stays in one place when points of both shots agree on one transform
and are spread over the pictures: a closer view, a jump in time, a step aside. Points that keep their
position while the pictures differ belong to a logo or a caption over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from attrs import Factory, define, evolve

from memories_async.local.engine._cv import Floats, Numbers, Picture, np
from memories_async.local.engine.vision.camera import (
    Movement,
    SampleView,
    compare_views,
    measure_movement,
)
from memories_async.local.engine.vision.index import PixelIndex, Samples, Staging
from memories_async.local.engine.vision.local_features import fit_similarity, match_points

__all__ = ["add_staging"]

_EVEN, _BUSY = 6, 2
"""Pairs of neighbouring samples compared in a shot: evenly spaced, and where most of it moved."""
_NEARLY_ALL = 0.75
"""Share of those pairs in which a still camera is seen to stand."""
_QUARTERS = 4
"""Parts of a longer shot, whose first and last samples are compared too."""
_POINTS = 300
"""Strongest points of a sample that are compared: more tell no more of camera and place."""
_COLOURS = 0.6
"""Likeness of colours below which points are not compared."""
_PLACE_POINTS = 8
_NARROW, _WIDE = 0.1, 0.3
"""Shares of width and height that inliers must span: in both pictures, and in one."""
_OVERLAY_MOVES, _OVERLAY_FILLS = 4.0, 0.5
"""An overlay moves by fewer pixels, and fills a smaller share of the picture."""


def add_staging(index: PixelIndex, pictures: Sequence[Picture]) -> PixelIndex:
    """Return *index* with its staging, measured from its samples; *pictures* shows each, reduced."""
    shot, size = index.shot_numbers, np.array(index.picture_size, np.float32)
    inside = [np.flatnonzero(shot == number) for number in range(len(index.facts.shots))]
    cameras = [
        _Shot(index=index, pictures=pictures, inside=numbers.tolist()).measure_camera()
        for numbers in inside
    ]
    stays = [
        number > 0 and _shows_same_place(inside[number - 1], inside[number], index.samples, size)
        for number in range(len(inside))
    ]
    still, moving, steady = np.array(cameras, np.bool_).reshape(-1, 3).T
    return evolve(
        index,
        staging=Staging(still=still, moving=moving, steady=steady, stays=np.array(stays, np.bool_)),
    )


@define
class _Shot:
    """The samples of one shot, compared in pairs."""

    index: PixelIndex
    pictures: Sequence[Picture]
    inside: list[int]
    _views: dict[int, SampleView] = Factory(dict[int, SampleView])

    def measure_camera(self) -> tuple[bool, bool, bool]:
        """Tell whether the camera stood still, whether it moved, and whether it was steady."""
        last = len(self.inside) - 1
        near = self._compare(self._choose_steps())
        # The samples beside a border may show another shot, if that is a dissolve.
        first, end = (1, last - 1) if last >= _QUARTERS else (0, last)
        at = [first + (end - first) * number // _QUARTERS for number in range(_QUARTERS + 1)]
        quarters = self._compare(pairwise(at)) if last >= 2 * _QUARTERS else []
        middle = at[_QUARTERS // 2]
        far = self._compare([(first, middle), (middle, end), (first, end)] if last > 1 else [])
        most = quarters or far
        every = [*near, *quarters, *far]
        stood, moved = near.count(Movement.STOOD), near.count(Movement.MOVED)
        is_steady = bool(near) and stood * 2 >= len(near)
        is_moving = moved > stood and moved * 2 >= len(near)
        if quarters and Movement.STOOD not in quarters:
            is_moving |= quarters.count(Movement.MOVED) > len(quarters) / 2
        is_still = (
            # A camera that turns quickly is not told by its points.
            bool(near)
            and stood >= _NEARLY_ALL * len(near)
            and most.count(Movement.STOOD) * 2 >= len(most)
            and not {Movement.MOVED, Movement.DRIFTED} & set(every)
        )
        return is_still, is_moving, is_steady

    def _choose_steps(self) -> list[tuple[int, int]]:
        """Choose pairs of neighbours: evenly, and those between which most moved."""
        steps = len(self.inside) - 1
        if steps < 1:
            return []
        even = {at * steps // _EVEN for at in range(_EVEN)} if steps > _EVEN else set(range(steps))
        signals, times = self.index.signals, self.index.samples.times
        borders = np.searchsorted(signals.times, times[self.inside])
        share = signals.moved[:, 0]
        most = [
            -float(share[begin + 1 : end + 1].max(initial=0)) for begin, end in pairwise(borders)
        ]
        even.update(np.argsort(most, kind="stable")[:_BUSY].tolist())
        return [(at, at + 1) for at in sorted(even)]

    def _compare(self, pairs: Iterable[tuple[int, int]]) -> list[Movement]:
        return [compare_views(self._view(one), self._view(other)) for one, other in pairs]

    def _view(self, at: int) -> SampleView:
        number = self.inside[at]
        if at not in self._views:
            size = np.array(self.index.picture_size, np.float32)
            points = self.index.samples.get_points(number, most=_POINTS)
            self._views[at] = SampleView.of(self.pictures[number], points, size)
        return self._views[at]


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
    first, second = (samples.get_points(at, most=_POINTS) for at in (one, other))
    left, right = match_points(first, second)
    transform, inliers = fit_similarity(left, right)
    if transform is None or int(inliers.sum()) < _PLACE_POINTS:
        return False
    left, right = left[inliers] / size, right[inliers] / size
    spans = [float(np.ptp(positions, axis=0).min()) for positions in (left, right)]
    if min(spans) < _NARROW or max(spans) < _WIDE:
        return False
    if measure_movement(transform, size) >= _OVERLAY_MOVES:
        return True
    return _count_cells(left) >= _OVERLAY_FILLS * _count_cells(first.places / size)


def _count_cells(places: Floats) -> int:
    """Count the eighths of width and height in which there is a point."""
    return len({(int(x * 8), int(y * 8)) for x, y in places.tolist()})
