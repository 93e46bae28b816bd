"""Approximate search with faiss, whose recall is measured against exact search. Needs faiss-cpu."""

from __future__ import annotations

import importlib
from math import isqrt
from typing import Any, Literal, TypeAlias

import numpy as np
from attrs import field, frozen

from memories_async.vectors._search import find_nearest, rank
from memories_async.vectors._store import VectorStore
from memories_async.vectors._table import Query, VectorTable
from memories_async.vectors._values import Neighbour

IndexKind: TypeAlias = Literal["hnsw", "ivf"]
_LARGE = 200_000
"""Vectors from which lists (IVF) are built: a graph (HNSW) takes too long."""
_LINKS, _EFFORT = 32, 128
"""Of the graph: neighbours of a vector, and vectors that a search keeps in view."""
_TRAINED = 40
"""Vectors for each list from which the lists are learned."""
_SAMPLE, _NEAREST = 200, 10
"""Queries with which the recall is measured, and how many neighbours are compared."""


@frozen(eq=False)
class ApproximateIndex:
    """A faiss index over vectors: faster than exact search, and it may miss neighbours.

    `recall` says how many it finds. Made by `Vectors.index`.
    """

    kind: IndexKind
    """`hnsw`: a graph. `ivf`: lists of vectors in 8 bits a number."""
    recall: float
    """The share of the 10 nearest neighbours that it finds, against exact search."""
    sample: int
    """How many vectors that was measured with."""
    _vectors: VectorTable = field(repr=False)
    _index: Any = field(repr=False)

    def similar(self, query: Query, k: int = 10) -> tuple[Neighbour, ...]:
        """Return up to *k* vectors near to *query*, nearest first; see `Vectors.similar`.

        Their cosines are exact; nearer vectors may be missing.
        """
        vector, own = self._vectors.resolve_query(query, k)
        count = min(k + 1, len(self._vectors))
        _, found = self._index.search(vector[None].astype(np.float32), count)
        rows = found[0][(found[0] >= 0) & (found[0] != (-1 if own is None else own))]
        return self._vectors.name_rows(*rank(self._vectors.store, vector, rows, k))


def build_index(vectors: VectorTable, kind: IndexKind | None) -> ApproximateIndex:
    """Build the index and measure its recall on vectors at even distances."""
    store = vectors.store
    if kind not in {None, "hnsw", "ivf"}:
        raise ValueError(f"kind must be 'hnsw' or 'ivf', not {kind!r}")
    kind = kind or choose_kind(store)
    index = build_faiss(store, kind)
    rows = np.unique(np.linspace(0, store.count - 1, min(_SAMPLE, store.count)).astype(np.intp))
    count = min(_NEAREST + 1, store.count)
    units = store.read_units(rows)
    _, found = index.search(units.astype(np.float32), count)
    hits = total = 0
    for row, unit, near in zip(rows.tolist(), units, found, strict=True):
        exact, _ = find_nearest(store, unit, _NEAREST, own=row)
        hits += len(np.intersect1d(exact, near))
        total += len(exact)
    recall = round(hits / total, 4) if total else 1.0
    return ApproximateIndex(kind, recall, len(rows), vectors, index)


def choose_kind(store: VectorStore) -> IndexKind:
    """Choose the kind of index by the number of vectors."""
    return "hnsw" if store.count < _LARGE else "ivf"


def build_faiss(store: VectorStore, kind: IndexKind) -> Any:
    """Build a faiss index over the vectors, each of length 1, by their inner product."""
    faiss = import_faiss()
    if not store.count:
        raise ValueError("there are no vectors to index")
    size, metric = store.dimensions, faiss.METRIC_INNER_PRODUCT
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(size, _LINKS, metric)
        index.hnsw.efSearch = _EFFORT
    else:
        lists = max(1, 4 * isqrt(store.count) if store.count >= _LARGE else isqrt(store.count))
        quantizer = faiss.IndexFlatIP(size)
        bits = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(quantizer, size, lists, bits, metric)
        rows = np.linspace(0, store.count - 1, min(store.count, lists * _TRAINED)).astype(np.intp)
        index.train(store.read_units(rows).astype(np.float32))
        index.nprobe = max(8, lists // 32)
    for _, block in store.iterate_unit_blocks():
        index.add(block)
    return index


def import_faiss() -> Any:
    """Import faiss. Raises `ImportError` that says what to install."""
    try:
        return importlib.import_module("faiss")
    except ImportError:
        raise ImportError("an approximate index needs faiss: pip install faiss-cpu") from None
