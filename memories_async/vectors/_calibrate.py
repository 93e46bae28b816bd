"""Chooses a threshold by pairs that are known to be copies, and measures what it does to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, islice
from math import sqrt
from typing import TypeAlias

import numpy as np

from memories_async.vectors._duplicates import Groups
from memories_async.vectors._search import Rows, compute_pairs
from memories_async.vectors._store import Doubles, VectorStore
from memories_async.vectors._values import Calibration

PairOfRows: TypeAlias = tuple[int, int]
MOST_OTHERS = 200_000
"""Pairs of different groups of copies that are taken as no copies, where none are given."""
FEW, FEW_GROUPS = 30, 10
"""Known pairs of either kind, and groups of copies, below which a threshold cannot be trusted."""
_Z = 1.96
"""Standard deviations of a 95 % interval."""


def calibrate(
    store: VectorStore,
    copies: Sequence[PairOfRows],
    others: Sequence[PairOfRows],
    precision: float,
) -> Calibration:
    """Choose the threshold of the highest recall that reaches *precision* on these pairs."""
    groups = len(group_copies(copies))
    good, bad = (_compute(store, pairs) for pairs in (copies, others))
    cosines: Doubles = np.unique(np.concatenate((good, bad)))[::-1]
    hits = len(good) - np.searchsorted(np.sort(good), cosines, "left")
    misses = len(bad) - np.searchsorted(np.sort(bad), cosines, "left")
    # Before the first copy there is nothing to be right about.
    precisions = hits / np.maximum(hits + misses, 1)
    reaching = np.flatnonzero((precisions >= precision) & (hits > 0))
    is_reached = bool(len(reaching))
    # Of equal recall the first: the highest threshold.
    at = reaching[np.argmax(hits[reaching])] if is_reached else np.lexsort((hits, precisions))[-1]
    # Halfway to the next pair below, so that it does not hang on one pair.
    middle = float(cosines[at : at + 2].mean())
    found, wrong = int(hits[at]), int(misses[at])
    notes = describe_weakness(len(good), len(bad), groups)
    is_enough = not notes
    if not is_reached:
        notes.append(f"no threshold has a precision of {precision:g} on these pairs")
    return Calibration(
        threshold=float(np.ceil(np.round(middle * 1e6, 3)) / 1e6),
        precision=found / (found + wrong),
        precision_at_least=find_lower_end(found, found + wrong),
        recall=found / len(good),
        recall_at_least=find_lower_end(found, len(good)),
        copies=len(good),
        others=len(bad),
        groups=groups,
        is_enough=is_enough,
        note="; ".join(notes),
    )


def describe_weakness(copies: int, others: int, groups: int) -> list[str]:
    """Say why the known pairs prove little; empty where they are enough."""
    counts = (
        (copies, FEW, "known pairs of copies"),
        (others, FEW, "known pairs of others"),
        (groups, FEW_GROUPS, "groups of copies"),
    )
    return [
        f"{count:,} {what}: fewer than {few} prove little"
        for count, few, what in counts
        if count < few
    ]


def _compute(store: VectorStore, pairs: Sequence[PairOfRows]) -> Doubles:
    rows: Rows = np.array(pairs, np.intp).reshape(-1, 2)
    return compute_pairs(store, rows[:, 0], rows[:, 1])


def group_copies(rows: Iterable[PairOfRows]) -> list[list[int]]:
    """Group rows that are copies of one another."""
    groups = Groups()
    for first, second in rows:
        groups.merge(first, second)
    return [sorted(group) for group in groups.list_groups()]


def pair_across(groups: Sequence[Sequence[int]]) -> list[PairOfRows]:
    """Pair the rows of different groups, evenly chosen where there are too many."""
    total = sum(len(a) * len(b) for a, b in combinations(groups, 2))
    pairs = ((a, b) for one, other in combinations(groups, 2) for a in one for b in other)
    return [*islice(pairs, 0, None, max(1, -(-total // MOST_OTHERS)))]


def find_lower_end(hits: int, count: int) -> float:
    """Find the lower end of the 95 % interval of a share (Wilson)."""
    share, z = hits / count, _Z
    middle = share + z * z / (2 * count)
    width = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - width) / (1 + z * z / count))
