"""Vectors of films and their copies, and a plain stand-in for faiss."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy", reason="vectors need numpy")


def make_films(films=6, copies=4, *, dimensions=32, noise=0.1, seed=7):
    """Vectors of some films, each with copies near to it, under keys such as `f0-c1`."""
    random = np.random.default_rng(seed)
    made = {}
    for film in range(films):
        centre = random.standard_normal(dimensions)
        for copy in range(copies):
            step = random.standard_normal(dimensions) * noise * copy
            made[f"f{film}-c{copy}"] = centre + step
    return made


class PlainIndex:
    """What the tests need of a faiss index, computed plainly; it finds only even rows if told."""

    def __init__(self, size, *_):
        self.size, self.rows, self.trained, self.hnsw = size, [], 0, SimpleNamespace()
        self.is_blind = False

    def train(self, rows):
        self.trained = len(rows)

    def add(self, block):
        self.rows.extend(block.copy())

    def search(self, queries, count):
        cosines = queries @ np.array(self.rows).T
        if self.is_blind:
            cosines[:, 1::2] = -2
        order = np.argsort(-cosines, axis=1)[:, :count]
        return np.take_along_axis(cosines, order, 1), order


class BlindIndex(PlainIndex):
    """Finds only even rows."""

    def __init__(self, *given):
        super().__init__(*given)
        self.is_blind = True


def fake_faiss(index=PlainIndex):
    """A module like faiss, as far as it is used."""
    return SimpleNamespace(
        METRIC_INNER_PRODUCT=0,
        IndexHNSWFlat=index,
        IndexFlatIP=PlainIndex,
        IndexIVFScalarQuantizer=lambda _, size, *__: index(size),
        ScalarQuantizer=SimpleNamespace(QT_8bit=1),
        write_index=lambda index, path: Path(path).write_text(f"{len(index.rows)}") and None,
    )
