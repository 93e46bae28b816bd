"""Local points (SIFT) of a picture, and the check that they agree in one geometry.

This check is what makes a score believable: colours agree by chance, twenty points under one
similarity transform do not.
"""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Bytes, Floats, Picture, cv2, np, shrink

__all__ = ["LEAST", "NO_POINTS", "Points", "agreeing", "points"]

LEAST = 4
"""Pairs under which no geometry is sought."""
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


def points(picture: Picture, *, most: int, longest: int = 360) -> Points:
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


def agreeing(left: Floats, right: Floats) -> tuple[int, Floats | None]:
    """Count pairs of places that one shift, turn and scale explains; give that transform."""
    if len(left) < LEAST:
        return 0, None
    transform, kept = cv2.estimateAffinePartial2D(
        left, right, method=cv2.RANSAC, ransacReprojThreshold=_REACH, maxIters=500, confidence=0.99
    )
    # Where none is found OpenCV gives None, whatever its stub says.
    if np.shape(transform) != (2, 3):
        return 0, None
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    inside = np.asarray(kept, np.bool_).reshape(-1)
    if not _SMALLEST < scale < _LARGEST:
        return 0, None
    # Many points that fall on one are no agreement.
    spots = {(round(x / 3), round(y / 3)) for x, y in right[inside].tolist()}
    origins = {(round(x / 3), round(y / 3)) for x, y in left[inside].tolist()}
    return min(len(spots), len(origins)), np.asarray(transform, np.float32)
