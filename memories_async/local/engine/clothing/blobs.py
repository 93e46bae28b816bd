"""Blobs: connected foreground before a fixed camera, of the size and shape of somebody upright."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from memories_async.local.engine._cv import Flags, Floats, Picture, cv2, np
from memories_async.local.engine.clothing.background import background, foreground
from memories_async.local.engine.clothing.descriptor import LENGTH, describe
from memories_async.local.engine.vision.index import Blobs, PixelIndex, shot_of

__all__ = ["find_blobs", "fixed"]

_SAMPLES = 10
"""Samples in a shot from which the background can be told."""
_TALLEST = 0.25
"""Height of the smallest blob, as a share of the picture's."""
_SMALLEST = 0.01
_SHAPES = (1.2, 6.0)
"""Height over width of somebody upright."""
_MOST = 6
"""Blobs kept of a sample, the largest ones."""


@frozen(kw_only=True)
class _Blob:
    box: tuple[float, float, float, float]
    described: Floats


def fixed(index: PixelIndex) -> Flags:
    """Say of each shot whether blobs can be found in it: a long one, from a camera that stood."""
    counts = np.bincount(shot_of(index), minlength=len(index.facts.shots))
    return np.asarray(index.staging.still & (counts >= _SAMPLES), np.bool_)


def find_blobs(index: PixelIndex, pictures: list[Picture]) -> Blobs:
    """Find the blobs in *pictures*, one small picture for each sample of *index*."""
    rows: list[tuple[int, _Blob]] = []
    shots = shot_of(index)
    for number in np.flatnonzero(fixed(index)):
        inside = [int(place) for place in np.flatnonzero(shots == number)]
        rows += _passing(index, pictures, inside)
    described = np.array([one.described for _, one in rows], np.float32).reshape(-1, LENGTH)
    return Blobs(
        samples=np.array([place for place, _ in rows], np.int64),
        boxes=np.array([one.box for _, one in rows], np.float32).reshape(-1, 4),
        clothing=np.rint(described * 255).astype(np.uint8),
    )


def _passing(
    index: PixelIndex, pictures: list[Picture], places: list[int]
) -> Iterator[tuple[int, _Blob]]:
    """Give place and blob, for each blob that passes in one shot."""
    labs = np.stack([cv2.cvtColor(pictures[place], cv2.COLOR_BGR2LAB) for place in places])
    behind = background(np.asarray(labs, np.uint8))
    height, width = behind.shape[:2]
    # All small pictures have one shape, whatever the video's.
    stretched = (index.facts.height / height) / (index.facts.width / width)
    for place, lab in zip(places, labs, strict=True):
        for blob in _blobs(lab, foreground(lab, behind), stretched):
            yield place, blob


def _blobs(lab: Picture, mask: Flags, stretched: float) -> list[_Blob]:
    height, width = mask.shape
    _, names, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    kept: list[_Blob] = []
    sizes = np.asarray(found, np.int64)
    # The ground is number 0.
    largest = 1 + np.argsort(-sizes[1:, cv2.CC_STAT_AREA], kind="stable")[:_MOST]
    for number in largest:
        x, y, wide, tall, area = (int(value) for value in sizes[number])
        if tall < _TALLEST * height or area < _SMALLEST * height * width:
            continue
        if not _SHAPES[0] <= stretched * tall / wide <= _SHAPES[1]:
            continue
        part = np.s_[y : y + tall, x : x + wide]
        described = describe(lab[part], np.asarray(names)[part] == number, rows=(0, tall))
        box = (x / width, y / height, wide / width, tall / height)
        kept.append(_Blob(box=box, described=described))
    return kept
