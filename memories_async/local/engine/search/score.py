"""How likely it is that a frame shows what the query shows: a curve fitted to known answers.

The numbers come from `benchmarks/engine_fit.py`: rendered films and real clips cut together, their
queries distorted in thirteen ways, right and wrong answers known. They belong to these features
only and say nothing about any other service's scores.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, np

__all__ = ["KEEP", "evidence", "score"]

KEEP = 0.3
"""Answers below this are not given: an empty list is a right answer."""
_WEIGHTS = np.array((2.53, 5.091, 0.057, 0.0, 3.149, -0.205, -0.266), np.float64)
_OFFSET = -9.188


def evidence(
    agreeing: Floats, likeness: Floats, *, query_points: int, query_richness: float
) -> Floats:
    """Put together what the curve reads, one row a frame.

    *agreeing* counts points in one geometry; *likeness* is that of `Looks.likeness`. The query's
    own points and richness say how much its likeness is worth: a plain picture is like any other.
    """
    several = np.log1p(np.maximum(agreeing - 3, 0))
    known = np.full(len(several), np.log1p(query_points))
    rich = np.full(len(several), query_richness)
    return np.column_stack((several, likeness, known, rich)).astype(np.float32)


def score(rows: Floats) -> Floats:
    """Give the probability, 0..1, for each row of `evidence`."""
    return (1 / (1 + np.exp(-(rows @ _WEIGHTS + _OFFSET)))).astype(np.float32)
