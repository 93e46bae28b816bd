"""One vector for a whole video, from its pictures' features; deterministic on every machine.

Features are pooled over at most 64 samples with black borders cropped, made the same for a picture
and its mirror image, centred by a stored mean, and projected by signs made from an integer hash
(numpy's own random streams may change between releases). The vector encodes appearance, not topic,
and neither order nor speed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from memories_async.local.engine._cv import Doubles, Floats, Picture, np
from memories_async.local.engine.vision.features import LENGTHS, describe, stack

__all__ = ["embed", "project", "summarise"]

_MOST = 64
_WEIGHTS = (0.5, 1.0, 0.8, 0.8)
_MEAN = Path(__file__).with_name("mean.npy")
_DARK = 14
"""A border is black where no sample is brighter than the darkest places by more than this."""
_BLACK = 64
"""Value above which nothing is black, however dark the rest is."""
_NOTHING = 1e-9
_CONTENT = 0.05
"""Share of a row or column that must not be black."""
_SPLITS = np.cumsum(LENGTHS)[:-1]


def summarise(pictures: list[Picture]) -> Floats:
    """Pool the features of *pictures*, all of one size, to one row of 1,712 numbers."""
    count, most = len(pictures), min(len(pictures), _MOST)
    chosen = [pictures[int((place + 0.5) * count / most)] for place in range(most)]
    top, bottom, left, right = _find_content(chosen)
    looks = stack([describe(np.ascontiguousarray(one[top:bottom, left:right])) for one in chosen])
    mirror = looks.mirror()
    return np.concatenate(
        [
            looks.colours.mean(axis=0),
            (looks.edges + mirror.edges).mean(axis=0) / 2,
            (looks.thumb + mirror.thumb).mean(axis=0) / 2,
            (looks.waves + mirror.waves).mean(axis=0) / 2,
        ]
    ).astype(np.float32)


def embed(summary: Floats, dimensions: int) -> tuple[float, ...]:
    """Project *summary* to *dimensions* numbers of length 1."""
    parts = np.split((summary - _load_mean()).astype(np.float64), _SPLITS)
    whole = np.concatenate(
        [
            weight * part / max(float(np.linalg.norm(part)), _NOTHING)
            for weight, part in zip(_WEIGHTS, parts, strict=True)
        ]
    )
    return project(whole, dimensions)


def project(vector: Doubles, dimensions: int) -> tuple[float, ...]:
    """Project *vector* to *dimensions* numbers of length 1, by signs that never change."""
    short = _make_signs(dimensions, len(vector)) @ vector
    length = float(np.linalg.norm(short))
    if length < _NOTHING:
        short, length = np.ones(dimensions), float(np.sqrt(dimensions))
    return tuple(float(value) for value in short / length)


@cache
def _load_mean() -> Floats:
    return np.asarray(np.load(_MEAN, allow_pickle=False), np.float32)


@cache
def _make_signs(rows: int, columns: int) -> Doubles:
    """Make a matrix of signs, each from a hash (splitmix64) of its place."""
    place = np.arange(rows * columns, dtype=np.uint64)
    mixed = place * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x5DEECE66D)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    signs = np.where(mixed & np.uint64(1), 1.0, -1.0)
    return np.asarray(signs.reshape(rows, columns), np.float64)


def _find_content(pictures: list[Picture]) -> tuple[int, int, int, int]:
    """Find top, bottom, left and right inside black borders; of the whole where nearly all is black."""
    peak = np.max(np.stack(pictures), axis=(0, 3))
    # A brightened copy has grey borders.
    black = float(np.percentile(peak, 2))
    bright = peak > _DARK + (black if black < _BLACK else 0)
    rows = np.flatnonzero(bright.mean(axis=1) > _CONTENT)
    columns = np.flatnonzero(bright.mean(axis=0) > _CONTENT)
    height, width = bright.shape
    if len(rows) < height // 4 or len(columns) < width // 4:
        return 0, height, 0, width
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
