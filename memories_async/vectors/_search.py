"""Exact search: one pass over all vectors, in 32-bit floats; the best are computed again in doubles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memories_async.vectors._store import Doubles, VectorStore

_TOLERANCE = 2e-6
"""By how much 32-bit floats may be wrong: what is that near to the last place is computed again."""
_EQUAL = 4_096
"""Rows near to the last place that are computed again at most; of more, the first loaded."""
_AT_ONCE = 1_024
"""Pairs that are computed in doubles at once."""
DIGITS = 6
"""Digits of a cosine after the point: what 32-bit floats, of any block size, agree on."""

Rows = npt.NDArray[np.intp]


def find_nearest(
    store: VectorStore, query: Doubles, count: int, *, own: int | None = None
) -> tuple[Rows, Doubles]:
    """Find the *count* rows nearest to *query*, nearest first, with their cosines.

    *query* has the length 1. The row *own* is left out.
    """
    scores = np.empty(store.count, np.float32)
    narrow = query.astype(np.float32)
    for rows, block in store.iterate_blocks():
        np.dot(block, narrow, out=scores[rows])
    np.multiply(scores, store.scales, out=scores, casting="same_kind")
    if own is not None:
        scores[own] = -np.inf
    count = min(count, store.count - (own is not None))
    if not count:
        return np.empty(0, np.intp), np.empty(0)
    last = np.partition(scores, len(scores) - count)[len(scores) - count]
    certain = np.flatnonzero(scores > last + _TOLERANCE)
    near = np.flatnonzero(np.abs(scores - last) <= _TOLERANCE)[:_EQUAL]
    return rank(store, query, np.concatenate((certain, near)), count)


def rank(store: VectorStore, query: Doubles, rows: Rows, count: int) -> tuple[Rows, Doubles]:
    """Order *rows* by their cosine with *query*, equal ones as they were loaded; keep *count*."""
    rows = np.sort(rows)
    cosines = round_cosines(store.read_units(rows) @ query)
    order = np.argsort(-cosines, kind="stable")[:count]
    return rows[order], cosines[order]


def round_cosines(cosines: Doubles) -> Doubles:
    """Round to what is certain, and keep within -1 and 1."""
    return np.clip(np.round(cosines, DIGITS), -1.0, 1.0) + 0.0


def compute_pairs(store: VectorStore, first: Rows, second: Rows) -> Doubles:
    """Compute the cosine of each pair of rows, some pairs at a time."""
    cosines = np.empty(len(first))
    for begin in range(0, len(first), _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        left, right = store.read_units(first[some]), store.read_units(second[some])
        cosines[some] = np.einsum("ij,ij->i", left, right)
    return round_cosines(cosines)
