"""Compare a query picture with every sample: all by global features, the best ones by their points.

The points of many samples are compared in one matrix product, several times faster than one by one;
about 0.5 ms each. Unless the query as given matches beyond doubt, the mirrored query is tried as well,
and the weaker points of the best samples: a small detail may have no others. A score is the probability
that a frame shows what the query shows: a curve fitted to known answers by `benchmarks/engine_fit.py`
(rendered films and real clips cut together, queries distorted in thirteen ways, faces). It belongs to
these features only, and says nothing about another service's scores.
"""

from __future__ import annotations

from typing import Self

from attrs import evolve, field, frozen

from memories_async.local.engine._cv import (
    Bytes,
    Flags,
    Floats,
    Numbers,
    Picture,
    cv2,
    np,
    shrink,
    unit,
)
from memories_async.local.engine.vision.features import Looks, describe
from memories_async.local.engine.vision.index import PixelIndex, Samples
from memories_async.local.engine.vision.local_features import (
    LEAST,
    LONGEST,
    RATIO,
    Points,
    count_inliers,
    find_points,
    fit_similarity,
    match_points,
)

__all__ = ["Comparison", "ImageQuery", "compare", "compute_score", "make_query"]

_BEST = 40
"""Samples whose points are compared; and the best one of each shot on top."""
_MOST_SHOTS = 40
_POINTS = 250
_STRONGEST = 300
"""Points of a sample that are compared at first."""
_AGAIN = 12
"""Samples of which all points are compared, where those leave doubt."""
_CENTRE = 0.6
_SURE = 15
"""Inliers that leave no doubt."""
_WEIGHTS = np.array((3.831, 5.377, 1.635, 0.0, 0.291, -0.685, 0.358, 4.653), np.float64)
_OFFSET = -9.0


@frozen(kw_only=True)
class ImageQuery:
    """A picture prepared for comparison."""

    picture: Picture = field(repr=False)
    looks: tuple[Looks, ...] = field(repr=False)
    """As given, and mirrored."""
    colourless: bool = False
    """Compare edges and points only."""


def make_query(picture: Picture, *, centre: bool = False, colourless: bool = False) -> ImageQuery:
    """Describe *picture* and its mirror image; with *centre*, only its middle."""
    if centre:
        height, width = picture.shape[:2]
        top, left = round(height * (1 - _CENTRE) / 2), round(width * (1 - _CENTRE) / 2)
        picture = picture[top : height - top, left : width - left]
    looks = describe(picture)
    return ImageQuery(picture=picture, looks=(looks, looks.mirror()), colourless=colourless)


@frozen(kw_only=True)
class Comparison:
    """A query compared with the samples of a video."""

    counts: Floats
    """Points that one transform explains, for each sample; 0 where points were not compared."""
    agreement: Floats
    """The same, each by how like its descriptors are (see `count_inliers`)."""
    likeness: Floats
    """Likeness of the global features (see `Looks.compare`), samples x 4."""
    places: Numbers
    """The number of the place that each sample shows."""
    points: Points
    """The query's points, of the view (given or mirrored) that matches best."""
    richness: float
    size: tuple[int, int]
    """Width and height of the reduced query, in which its points lie."""

    @property
    def evidence(self) -> Floats:
        """What `compute_score` reads, one row for each sample.

        The query's own points and richness say how much its likeness is worth: a plain picture is
        like any other. A place that another one explains better, point by point, is less likely:
        windows of two houses are alike.
        """
        several = np.log1p(np.maximum(self.agreement - 3, 0))
        most = np.zeros(int(self.places.max()) + 1)
        np.maximum.at(most, self.places, several)
        behind = most[self.places] - most.max()
        known = np.full(len(several), np.log1p(len(self.points)))
        rich = np.full(len(several), self.richness)
        return np.column_stack((several, self.likeness, known, rich, behind)).astype(np.float32)

    def find_best(self, count: int) -> Numbers:
        """Find the *count* samples that score best."""
        return np.argsort(-compute_score(self.evidence), kind="stable")[:count]

    def compare_points(self, samples: Samples, numbers: Numbers) -> Comparison:
        """Compare the points of the samples *numbers* as well; about 0.5 ms each."""
        counts, agreement = self.counts.copy(), self.agreement.copy()
        more = _PointTable.build(samples, numbers, most=None).count_inliers(self.points)
        for known, column in ((counts, 0), (agreement, 1)):
            known[numbers] = np.maximum(known[numbers], more[:, column])
        return evolve(self, counts=counts, agreement=agreement)

    def measure_coverage(self, index: PixelIndex, number: int) -> float:
        """Measure the share of the sample *number* that the query covers; 1 if unknown."""
        left, right = match_points(self.points, index.samples.get_points(number))
        transform, _ = fit_similarity(left, right)
        if transform is None:
            return 1.0
        scale = float(np.abs(np.linalg.det(transform[:, :2])))
        width, height = index.picture_size
        return scale * self.size[0] * self.size[1] / (width * height)


def compute_score(evidence: Floats) -> Floats:
    """Compute the probability, 0..1, for each row of `Comparison.evidence`."""
    return (1 / (1 + np.exp(-(evidence @ _WEIGHTS + _OFFSET)))).astype(np.float32)


def compare(query: ImageQuery, index: PixelIndex) -> Comparison:
    """Compare *query* with every sample of *index*; 20-80 ms."""
    samples = index.samples
    likeness = np.max([looks.compare(samples.looks) for looks in query.looks], axis=0)
    if query.colourless:
        likeness = np.repeat(likeness[:, 1:2], likeness.shape[1], axis=1)
    chosen = _choose_samples(likeness.mean(axis=1), index)
    table = _PointTable.build(samples, chosen, most=_STRONGEST)
    picture = shrink(query.picture, LONGEST)
    best = _compare_view(picture, table, likeness, index.place_numbers)
    if float(best.counts.max()) < _SURE:
        flipped = np.asarray(cv2.flip(picture, 1), np.uint8)
        mirror = _compare_view(flipped, table, likeness, index.place_numbers)
        views = [view.compare_points(samples, view.find_best(_AGAIN)) for view in (best, mirror)]
        # The view that matches better counts; the other one's inliers are chance.
        best = max(views, key=lambda view: float(view.counts.max()))
    return evolve(best, richness=query.looks[0].richness)


def _compare_view(
    picture: Picture, table: _PointTable, likeness: Floats, places: Numbers
) -> Comparison:
    points = find_points(picture, most=_POINTS)
    found = np.zeros((len(likeness), 2), np.float32)
    found[table.numbers] = table.count_inliers(points)
    height, width = picture.shape[:2]
    return Comparison(
        counts=found[:, 0],
        agreement=found[:, 1],
        likeness=likeness,
        places=places,
        points=points,
        richness=0.0,
        size=(width, height),
    )


def _choose_samples(likeness: Floats, index: PixelIndex) -> Numbers:
    """Choose the best samples of all, and the best one of each of the best shots."""
    order = np.argsort(-likeness, kind="stable")
    _, firsts = np.unique(index.shot_numbers[order], return_index=True)
    heads = order[np.sort(firsts)][:_MOST_SHOTS]
    return np.unique(np.concatenate((order[:_BEST], heads))).astype(np.int64)


@frozen(kw_only=True)
class _PointTable:
    """The points of some samples, side by side in equal slots."""

    numbers: Numbers
    """The numbers of the samples."""
    points: tuple[Points, ...] = field(repr=False)
    descriptors: Floats = field(repr=False)
    """Samples x slots rows of length 1; empty slots are zero."""

    @classmethod
    def build(cls, samples: Samples, numbers: Numbers, *, most: int | None) -> Self:
        """Gather the points of the samples *numbers*, at most so many of each."""
        points = tuple(samples.get_points(int(number), most=most) for number in numbers)
        slots = max(2, *(len(one) for one in points), 0)
        padded = np.zeros((len(points), slots, 128), np.float32)
        for row, one in enumerate(points):
            padded[row, : len(one)] = one.descriptors
        return cls(numbers=numbers, points=points, descriptors=unit(padded))

    def count_inliers(self, query: Points) -> Floats:
        """Count the points of *query* that one transform explains: samples x 2 (`count_inliers`)."""
        counts = np.zeros((len(self.points), 2), np.float32)
        if len(query) < LEAST:
            return counts
        nearest, cosines, distinct = self._find_nearest(query.descriptors)
        for row, points in enumerate(self.points):
            chosen = np.flatnonzero(distinct[:, row])
            if len(chosen) >= LEAST:
                right = points.places[nearest[chosen, row]]
                counts[row] = count_inliers(query.places[chosen], right, cosines[chosen, row])
        return counts

    def _find_nearest(self, query: Bytes) -> tuple[Numbers, Floats, Flags]:
        """Find each query point's nearest point in each sample, its cosine, and if it is distinct."""
        samples, slots, _ = self.descriptors.shape
        left = unit(query.astype(np.float32))
        near = (left @ self.descriptors.reshape(-1, 128).T).reshape(len(left), samples, slots)
        nearest = near.argmax(axis=2)
        best = np.take_along_axis(near, nearest[..., None], axis=2)[..., 0]
        np.put_along_axis(near, nearest[..., None], -1.0, axis=2)
        second = near.max(axis=2)
        # Squared distances of unit vectors are 2 - 2 cosines. An empty slot, at 0, is never distinct.
        return nearest, best, (1 - best) < RATIO**2 * (1 - second)
