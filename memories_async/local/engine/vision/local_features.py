"""Local points (SIFT) of a picture, and the check that they agree in one geometry.

This check is what makes a score believable: colours agree by chance, twenty points under one
similarity transform do not.
"""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Bytes, Flags, Floats, Picture, cv2, np, shrink, unit

__all__ = [
    "LEAST",
    "LONGEST",
    "NO_POINTS",
    "RATIO",
    "Points",
    "agreeing",
    "agreement",
    "pairs",
    "points",
]

LONGEST = 360
"""Pixels of the longer side, to which pictures are reduced before points are sought."""
LEAST = 4
"""Pairs under which no geometry is sought."""
RATIO = 0.8
"""A point's best partner must be nearer than this share of the second best one's distance."""
_SMALLEST, _LARGEST = 0.08, 12.0
_SCALE = 512.0
"""Square-rooted descriptors hold 0..~0.5; times this they fill a byte."""
_REACH = 6.0
"""Pixels by which a point may miss its place, at 360 pixels."""


@frozen(kw_only=True)
class Points:
    """Places (x, y in pixels of the reduced picture) and their descriptors, 128 bytes each."""

    places: Floats
    descriptors: Bytes

    def __len__(self) -> int:
        return len(self.places)


NO_POINTS = Points(places=np.zeros((0, 2), np.float32), descriptors=np.zeros((0, 128), np.uint8))


def points(picture: Picture, *, most: int, longest: int = LONGEST) -> Points:
    """Find the *most* telling points of *picture*, reduced to *longest*; 8-16 ms."""
    grey = cv2.cvtColor(shrink(picture, longest), cv2.COLOR_BGR2GRAY)
    finder = cv2.SIFT.create(nfeatures=most, contrastThreshold=0.01)
    found, raw = finder.detectAndCompute(grey, None)
    if not found:
        return NO_POINTS
    # SIFT may give a few more than asked, where one place has two directions.
    order = sorted(range(len(found)), key=lambda at: -found[at].response)[:most]
    places = np.array([found[at].pt for at in order], np.float32)
    rows = np.asarray(raw, np.float32)[order]
    # Square roots make the distance kinder to few large values (known as RootSIFT).
    rooted = np.sqrt(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-6))
    return Points(
        places=places, descriptors=np.minimum(np.rint(rooted * _SCALE), 255).astype(np.uint8)
    )


def pairs(left: Points, right: Points) -> tuple[Floats, Floats]:
    """Give the places of points of *left* and those of their partners in *right*."""
    if min(len(left), len(right)) < LEAST:
        return NO_POINTS.places, NO_POINTS.places
    near = _unit(left.descriptors) @ _unit(right.descriptors).T
    first, second = np.sort(near, axis=1)[:, -1], np.sort(near, axis=1)[:, -2]
    # Squared distances of unit vectors are 2 - 2 cosines.
    good = (1 - first) < RATIO**2 * (1 - second)
    return left.places[good], right.places[near.argmax(axis=1)[good]]


def _unit(descriptors: Bytes) -> Floats:
    return unit(descriptors.astype(np.float32))


def agreeing(left: Floats, right: Floats) -> int:
    """Count pairs of places that one shift, turn and scale explains."""
    _, kept = agreement(left, right)
    # Many points that fall on one are no agreement.
    return min(_spots(left[kept]), _spots(right[kept]))


def agreement(left: Floats, right: Floats) -> tuple[Floats | None, Flags]:
    """Find the shift, turn and scale that explains most pairs, and which pairs those are."""
    nothing = np.zeros(len(left), np.bool_)
    if len(left) < LEAST:
        return None, nothing
    transform, kept = cv2.estimateAffinePartial2D(
        left, right, method=cv2.RANSAC, ransacReprojThreshold=_REACH, maxIters=500, confidence=0.99
    )
    # Where none is found OpenCV gives None, whatever its stub says.
    if np.shape(transform) != (2, 3):
        return None, nothing
    if not _SMALLEST < float(np.hypot(transform[0, 0], transform[1, 0])) < _LARGEST:
        return None, nothing
    return np.asarray(transform, np.float32), np.asarray(kept, np.bool_).reshape(-1)


def _spots(places: Floats) -> int:
    return len({(round(x / 3), round(y / 3)) for x, y in places.tolist()})
