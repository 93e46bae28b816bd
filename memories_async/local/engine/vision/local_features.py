"""Local features (SIFT) of a picture, and the similarity transform between those of two pictures.

The transform is what makes a score reliable: colours agree by chance, twenty points under one
transform do not.
"""

from __future__ import annotations

import math

from attrs import frozen

from memories_async.local.engine._cv import Bytes, Flags, Floats, Picture, cv2, np, shrink, unit

__all__ = [
    "LEAST",
    "LONGEST",
    "RATIO",
    "Points",
    "count_inliers",
    "find_points",
    "fit_similarity",
    "match_points",
]

LONGEST = 360
"""Pixels of the longer side to which pictures are reduced before points are detected."""
LEAST = 4
"""Pairs below which no transform is fitted."""
RATIO = 0.8
"""Lowe's ratio: the best match must be nearer than this share of the second best distance."""
_SMALLEST, _LARGEST = 0.08, 12.0
_SCALE = 512.0
"""Root-SIFT descriptors hold 0 to about 0.5; times this they fill a byte."""
_REACH = 6.0
"""Pixels, at 360 a side, by which an inlier may miss its place."""
_ALIKE = 0.93
"""Cosine up to which descriptors are only alike."""
_EQUAL, _LIGHTEST, _HEAVIEST = 6.0, 0.2, 4.0
"""Weight of a match of equal descriptors, and the limits that weights are cut to."""
_LOSS, _GAIN = 4.0, 3.0
"""Points that a count may lose and gain by those weights."""
_UPRIGHT = math.radians(15)


@frozen(kw_only=True)
class Points:
    """Positions (x, y in pixels of the reduced picture) and descriptors, 128 bytes each."""

    places: Floats
    descriptors: Bytes

    def __len__(self) -> int:
        return len(self.places)


_NO_POINTS = Points(places=np.zeros((0, 2), np.float32), descriptors=np.zeros((0, 128), np.uint8))


def find_points(picture: Picture, *, most: int, longest: int = LONGEST) -> Points:
    """Find the *most* distinctive points of *picture*, reduced to *longest*; 8-16 ms."""
    grey = cv2.cvtColor(shrink(picture, longest), cv2.COLOR_BGR2GRAY)
    finder = cv2.SIFT.create(nfeatures=most, contrastThreshold=0.01)
    found, raw = finder.detectAndCompute(grey, None)
    if not found:
        return _NO_POINTS
    # SIFT may give a few more than asked, where one position has two directions.
    order = sorted(range(len(found)), key=lambda at: -found[at].response)[:most]
    places = np.array([found[at].pt for at in order], np.float32)
    rows = np.asarray(raw, np.float32)[order]
    # Root-SIFT: square roots give a few large values less weight in the distance.
    rooted = np.sqrt(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))
    return Points(
        places=places, descriptors=np.minimum(np.rint(rooted * _SCALE), 255).astype(np.uint8)
    )


def match_points(left: Points, right: Points) -> tuple[Floats, Floats]:
    """Return the positions of points of *left* and those of their matches in *right*."""
    if min(len(left), len(right)) < LEAST:
        return _NO_POINTS.places, _NO_POINTS.places
    one, other = (unit(points.descriptors.astype(np.float32)) for points in (left, right))
    near = one @ other.T
    second, first = np.partition(near, -2, axis=1)[:, -2:].T
    # Squared distances of unit vectors are 2 - 2 cosines.
    good = (1 - first) < RATIO**2 * (1 - second)
    return left.places[good], right.places[near.argmax(axis=1)[good]]


def count_inliers(left: Floats, right: Floats, cosines: Floats) -> tuple[int, float]:
    """Count the matched positions that one similarity transform explains; plain, and by likeness.

    *cosines* are those of the matched descriptors. The same footage gives a few that are nearly equal
    and upright: they count up to `_GAIN` more. Another face gives as many that are only alike: they
    count less. Those of a distorted picture are only alike, too, but many: `_LOSS` is all they lose.
    """
    transform, inliers = fit_similarity(left, right)
    # Several points at one position count once.
    count = min(_count_positions(left[inliers]), _count_positions(right[inliers]))
    if transform is None or not count:
        return 0, 0.0
    likeness = np.maximum(cosines[inliers] - _ALIKE, 0) / (1 - _ALIKE)
    weighed = count * float(np.clip(_EQUAL * likeness**2, _LIGHTEST, _HEAVIEST).mean())
    is_upright = abs(float(np.arctan2(transform[1, 0], transform[0, 0]))) < _UPRIGHT
    return count, float(np.clip(weighed, count - _LOSS, count + _GAIN * is_upright))


def fit_similarity(
    left: Floats, right: Floats, *, reach: float = _REACH
) -> tuple[Floats | None, Flags]:
    """Fit the shift, rotation and scale that explains most pairs; and say which are its inliers.

    An inlier misses its place by at most *reach* pixels.
    """
    nothing = np.zeros(len(left), np.bool_)
    if len(left) < LEAST:
        return None, nothing
    transform, inliers = cv2.estimateAffinePartial2D(
        left, right, method=cv2.RANSAC, ransacReprojThreshold=reach, maxIters=500, confidence=0.99
    )
    # Where none is found OpenCV gives None, whatever its stub says.
    if np.shape(transform) != (2, 3):
        return None, nothing
    if not _SMALLEST < float(np.hypot(transform[0, 0], transform[1, 0])) < _LARGEST:
        return None, nothing
    return np.asarray(transform, np.float32), np.asarray(inliers, np.bool_).reshape(-1)


def _count_positions(places: Floats) -> int:
    """Count the cells of 3 x 3 pixels in which there is a point."""
    return len({(round(x / 3), round(y / 3)) for x, y in places.tolist()})
