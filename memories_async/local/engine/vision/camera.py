"""Tell whether the camera moved between two samples, from what is seen along the picture's borders.

A thing that moves in the middle is not the camera. The camera stood where the borders look as before;
it moved where one transform, fitted to matched points, explains the borders on three sides better than
standing does. Otherwise the samples do not tell: plain borders, or many things that move.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from memories_async.local.engine._cv import Flags, Floats, Numbers, Picture, cv2, np
from memories_async.local.engine.vision.local_features import Points, fit_similarity, match_points
from memories_async.local.engine.vision.motion import Detail, find_limit, measure_change

__all__ = ["Movement", "SampleView", "compare_views", "measure_movement"]

_STILL, _MOVED, _FAR = 1.2, 2.0, 12.0
"""Pixels (of 360) up to which a point kept its place, from which the picture's corners moved, and up
to which many points that moved are no thing that moves."""
_REACH = 3.0
"""Pixels by which a point may miss its place under the camera's transform."""
_FITS = 3
"""Transforms that are tried: things that move may have more points than the place."""
_POINTS, _CELLS = 12, 5
"""Points that kept their place, and eighths of width and height in which they lie."""
_EDGE, _RING, _WIDE = 0.1, 0.25, 0.6
"""Shares of the picture that are its edge, the ring in which points tell of standing, and most of its
width and height."""
_PARTS = 8
"""Stretches of each border."""
_INSET = 2
"""Pixels from the border at which its surroundings begin to lie inside the picture."""
_DARK = 9.0
"""Lightness under which rows and columns are bars around the picture."""
_CONTRAST, _ABOVE, _LEAST_CHANGE = 2.5, 1.3, 2.0
"""Contrast from which a place tells whether it moved, its factor where changes are compared with it,
and a change that says nothing."""
_BETTER, _INSIDE = 0.7, 0.99
"""Factor of a change that explains it better; share of a pixel that lies in the other picture."""
_LEAST_STOOD, _LEAST_MOVED = 6, 5
"""Stretches of the border that look as before, or that moved; also the points of a transform."""
_NEARLY, _MOST, _SOME = 0.7, 0.6, 0.35
"""Shares of stretches or pixels: of those that tell, of those that are clear, and the least."""
_SIDES, _DIRECTIONS = 3, 0.05
"""Sides of the picture that must tell, and the least share of power across the main direction."""


class Movement(Enum):
    """What two samples say of the camera."""

    STOOD = "stood"
    DRIFTED = "drifted"
    """Points over the whole picture moved a little; the borders are not clear."""
    MOVED = "moved"
    UNKNOWN = "unknown"


@frozen(kw_only=True)
class SampleView:
    """One sample: its points, and a small picture."""

    points: Points
    detail: Detail
    size: Floats
    """Width and height of the picture in which the points lie."""

    @classmethod
    def of(cls, small: Picture, points: Points, size: Floats) -> SampleView:
        """Make the view of a sample from its *small* picture."""
        return cls(points=points, detail=Detail.of_picture(small), size=size)


@frozen(kw_only=True)
class _Border:
    """The pixels along the border of a picture, inside its bars."""

    at: tuple[Numbers, Numbers]
    """Rows and columns."""
    part: Numbers
    """The stretch in which each lies: row times `_PARTS` plus column."""

    def count(self, flags: Flags) -> Numbers:
        """Count in each stretch the pixels that *flags* names."""
        return np.bincount(self.part[flags], minlength=_PARTS**2)


def compare_views(one: SampleView, other: SampleView) -> Movement:
    """Tell how the camera moved from *one* to *other*."""
    border = _find_border(one.detail, other.detail)
    if border is None:
        return Movement.UNKNOWN
    change = measure_change(one.detail, other.detail)
    pair = _Pair(one=one, other=other, border=border, change=change)
    return Movement.STOOD if pair.border_stood() else pair.compare_points()


def measure_movement(transform: Floats, size: Floats) -> float:
    """Measure the mean distance, in pixels, by which *transform* moves a picture's corners."""
    corners = np.array([(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)], np.float32)
    corners[:, :2] *= size
    return float(np.linalg.norm(corners @ transform.T - corners[:, :2], axis=1).mean())


def _find_border(one: Detail, other: Detail) -> _Border | None:
    """Find the border of what is not black in both pictures; None where little is left."""
    lit = np.asarray(np.maximum(one.light, other.light) > _DARK, np.bool_)
    spans: list[tuple[int, int]] = []
    for inside in (lit, lit.T):
        places = np.flatnonzero(np.asarray(inside.any(axis=1), np.bool_))
        if len(places) * 3 < len(inside):
            return None
        # The edge of a bar is in the picture, but does not move with it.
        first = int(places[0]) + (_INSET if places[0] else 0)
        last = int(places[-1]) - (_INSET if places[-1] < len(inside) - 1 else 0)
        spans.append((first, last))
    (top, bottom), (left, right) = spans
    down, across = (np.arange(first + _INSET, last - _INSET + 1) for first, last in spans)
    y = np.concatenate([np.full_like(across, edge) for edge in (top + _INSET, bottom - _INSET)])
    x = np.concatenate([np.full_like(down, edge) for edge in (left + _INSET, right - _INSET)])
    y, x = np.concatenate([y, down, down]), np.concatenate([across, across, x])
    rows = (y - top) * _PARTS // (bottom - top + 1)
    columns = (x - left) * _PARTS // (right - left + 1)
    return _Border(at=(y, x), part=rows * _PARTS + columns)


@frozen(kw_only=True)
class _Pair:
    """Two samples that are compared."""

    one: SampleView
    other: SampleView
    border: _Border
    change: Floats

    def border_stood(self) -> bool:
        """Whether the border looks the same in both."""
        at, limit = self.border.at, find_limit(self.change, self.other.detail.light)
        contrast = np.maximum(self.one.detail.contrast, self.other.detail.contrast)
        tells = np.sqrt(contrast[at]) > max(_CONTRAST, _ABOVE * limit)
        counts = self.border.count(tells)
        same = tells & (self.change[at] < limit)
        good = np.flatnonzero((counts > 1) & (self.border.count(same) >= _MOST * counts))
        enough = max(_LEAST_STOOD, _NEARLY * int((counts > 1).sum()))
        return (
            len(good) >= enough
            and int(_find_sides(good).sum()) >= _SIDES
            and _has_two_directions(self.other.detail.light, (at[0][same], at[1][same]))
        )

    def compare_points(self) -> Movement:
        """Tell how the camera moved from points that are found again."""
        left, right = match_points(self.one.points, self.other.points)
        free, is_drifted = np.ones(len(left), np.bool_), False
        for _ in range(_FITS):
            transform, fits = fit_similarity(left[free], right[free], reach=_REACH)
            if transform is None:
                break
            inliers = np.flatnonzero(free)[fits]
            free[inliers] = False
            movement = measure_movement(transform, self.one.size)
            if movement < _MOVED or len(inliers) < _LEAST_MOVED:
                continue
            places = left[inliers] / self.one.size
            if self._is_explained(transform, places):
                return Movement.MOVED
            is_wide = bool((np.ptp(places, axis=0) > _WIDE).all())
            is_drifted |= is_wide and movement < _FAR and len(inliers) * 2 >= len(left)
        if is_drifted:
            return Movement.DRIFTED
        stood = np.linalg.norm(right - left, axis=1) < _STILL
        return Movement.STOOD if _points_stood(left / self.one.size, stood) else Movement.UNKNOWN

    def _is_explained(self, transform: Floats, places: Floats) -> bool:
        """Whether *transform*, on which *places* agree, explains the borders better than standing."""
        height, width = self.one.detail.light.shape
        scale = np.diag([width / self.one.size[0], height / self.one.size[1], 1])
        matrix = scale @ np.vstack((transform, (0, 0, 1))) @ np.linalg.inv(scale)
        # What lies at the border of one picture may be outside the other, but not both ways.
        counts, moved, stood = self._count_moved(
            self.one.detail, self.other.detail, np.asarray(matrix, np.float32)
        ) + self._count_moved(
            self.other.detail, self.one.detail, np.asarray(np.linalg.inv(matrix), np.float32)
        )
        known = counts > 1
        good = np.flatnonzero(known & (moved * 2 >= counts))
        bad = int(np.count_nonzero(known & (stood * 2 >= counts)))
        sides = _find_sides(good) | _find_point_sides(places, _EDGE, 3)
        enough = max(_LEAST_MOVED, _MOST * (len(good) + bad), _SOME * int(known.sum()))
        return len(good) >= enough and int(sides.sum()) >= _SIDES

    def _count_moved(self, source: Detail, target: Detail, matrix: Floats) -> Numbers:
        """Count the pixels of *target*'s border that tell, that moved by *matrix*, and that stood."""
        at, size, shift = self.border.at, source.light.shape[::-1], matrix[:2]
        warped = cv2.warpAffine(source.light, shift, size, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpAffine(np.ones_like(source.light), shift, size)
        whole = cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE)
        moves = measure_change(Detail.of(np.asarray(warped, np.float32)), target)[at]
        stands, contrast = self.change[at], np.sqrt(target.contrast[at])
        tells = (np.asarray(whole)[at] > _INSIDE) & (contrast > _ABOVE * _CONTRAST)
        fits = (moves < _BETTER * stands) & (moves < np.maximum(_BETTER * contrast, _LEAST_CHANGE))
        stood = stands < _BETTER * moves
        return np.stack([self.border.count(tells & one) for one in (tells, fits, stood)])


def _has_two_directions(light: Floats, at: tuple[Numbers, Numbers]) -> bool:
    """Whether edges at the pixels *at* run in two directions: along one, nothing seems to move."""
    ways = [np.asarray(cv2.Sobel(light, cv2.CV_32F, *way), np.float32) for way in ((1, 0), (0, 1))]
    slopes = np.stack([slope[at] for slope in ways])
    weak, strong = np.linalg.eigvalsh(slopes @ slopes.T).tolist()
    return bool(weak >= _DIRECTIONS * strong)


def _find_sides(parts: Numbers) -> Flags:
    """Tell which sides (left, right, top, bottom) have at least two of the stretches *parts*."""
    rows, columns = parts // _PARTS, parts % _PARTS
    last = _PARTS - 1
    return np.array([(line == at).sum() > 1 for line in (columns, rows) for at in (0, last)])


def _points_stood(places: Floats, stood: Flags) -> bool:
    """Whether the points near the borders are mostly such that *stood*."""
    ring = ((places < _RING) | (places >= 1 - _RING)).any(axis=1)
    cells = [
        {(int(x * _PARTS), int(y * _PARTS)) for x, y in places[ring & flags].tolist()}
        for flags in (stood, ~stood)
    ]
    return (
        int(stood.sum()) >= _POINTS
        and len(cells[0]) >= max(_CELLS, _MOST * len(cells[0] | cells[1]))
        and int(_find_point_sides(places[stood], _RING, 2).sum()) >= _SIDES
    )


def _find_point_sides(places: Floats, band: float, least: int) -> Flags:
    """Tell which sides (left, right, top, bottom) have *least* of the *places* in a *band*."""
    counts = [((line < band).sum(), (line >= 1 - band).sum()) for line in places.T]
    return np.array(counts).reshape(-1) >= least
