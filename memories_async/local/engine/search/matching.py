"""Compare a query with every sample: all by their looks, the promising ones by their points.

The mirrored query is tried as well, unless the query as given is found beyond doubt.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from memories_async.local.engine._cv import Floats, Numbers, Picture, cv2, np, shrink
from memories_async.local.engine.search.neighbours import Held
from memories_async.local.engine.search.score import evidence
from memories_async.local.engine.vision.features import Looks, look
from memories_async.local.engine.vision.index import PixelIndex, Samples, points_of, shot_of
from memories_async.local.engine.vision.local_features import (
    LONGEST,
    Points,
    agreement,
    pairs,
    points,
)

__all__ = ["Query", "Seen", "compare", "query"]

_BEST = 40
"""Samples whose points are compared; and the best one of each shot on top."""
_MOST_SHOTS = 40
_POINTS = 250
_CENTRE = 0.6
_SURE = 15
"""Agreeing points that make it needless to try the mirror image as well."""


@frozen(kw_only=True)
class Query:
    """A picture made ready to be compared."""

    picture: Picture = field(repr=False)
    looks: tuple[Looks, ...] = field(repr=False)
    """As given, and mirrored."""
    colourless: bool = False
    """Compare edges and points only."""


def query(picture: Picture, *, centre: bool = False, colourless: bool = False) -> Query:
    """Describe *picture* and its mirror image; with *centre*, only its middle."""
    if centre:
        picture = _middle(picture)
    seen = look(picture)
    return Query(picture=picture, looks=(seen, seen.mirrored()), colourless=colourless)


@frozen(kw_only=True)
class Seen:
    """What a comparison found out, and what it takes to look closer at single samples."""

    counts: Floats
    """Points agreeing in one geometry, for each sample; zero where they were not compared."""
    likeness: Floats
    points: Points
    """The query's points, of the view (given or mirrored) that agrees best."""
    richness: float
    size: tuple[int, int]
    """Width and height of the reduced query, in which its points lie."""

    def evidence(self) -> Floats:
        """Give the evidence of each sample (see `score.evidence`)."""
        return evidence(
            self.counts,
            self.likeness,
            query_points=len(self.points),
            query_richness=self.richness,
        )

    def closer(self, samples: Samples, places: Numbers) -> Seen:
        """Compare the points of *places* as well; about 0.5 ms each."""
        counts = self.counts.copy()
        counts[places] = np.maximum(counts[places], Held.of(samples, places).agreeing(self.points))
        return evolve(self, counts=counts)

    def share(self, samples: Samples, place: int, size: tuple[float, float]) -> float:
        """Say what share of the sample at *place*, *size* in pixels, the query covers; 1 if unknown."""
        left, right = pairs(self.points, points_of(samples, place))
        transform, _ = agreement(left, right)
        if transform is None:
            return 1.0
        scale = float(np.abs(np.linalg.det(transform[:, :2])))
        return scale * self.size[0] * self.size[1] / (size[0] * size[1])


def compare(asked: Query, index: PixelIndex) -> Seen:
    """Compare *asked* with every sample of *index*; 20-80 ms."""
    samples = index.samples
    likeness = np.max([_likeness(looks, samples, asked) for looks in asked.looks], axis=0)
    close = _shortlist(likeness.mean(axis=1), index)
    picture = shrink(asked.picture, LONGEST)
    held = Held.of(samples, close)
    best = _view(picture, held, likeness)
    if float(best.counts.max()) < _SURE:
        mirror = _view(np.asarray(cv2.flip(picture, 1), np.uint8), held, likeness)
        # The better view speaks; the other one's agreements are chance.
        best = max(best, mirror, key=lambda seen: float(seen.counts.max()))
    return evolve(best, richness=asked.looks[0].richness())


def _view(picture: Picture, held: Held, likeness: Floats) -> Seen:
    found = points(picture, most=_POINTS)
    counts = np.zeros(len(likeness), np.float32)
    counts[held.samples] = held.agreeing(found)
    height, width = picture.shape[:2]
    return Seen(counts=counts, likeness=likeness, points=found, richness=0.0, size=(width, height))


def _likeness(looks: Looks, samples: Samples, asked: Query) -> Floats:
    likeness = looks.likeness(samples.looks)
    if asked.colourless:
        likeness = np.repeat(likeness[:, 1:2], likeness.shape[1], axis=1)
    return likeness


def _shortlist(likeness: Floats, index: PixelIndex) -> Numbers:
    """Choose the best samples of all, and the best one of each of the best shots."""
    order = np.argsort(-likeness, kind="stable")
    shot = shot_of(index)
    _, firsts = np.unique(shot[order], return_index=True)
    heads = order[np.sort(firsts)][:_MOST_SHOTS]
    return np.unique(np.concatenate((order[:_BEST], heads))).astype(np.int64)


def _middle(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    top, left = round(height * (1 - _CENTRE) / 2), round(width * (1 - _CENTRE) / 2)
    return picture[top : height - top, left : width - left]
