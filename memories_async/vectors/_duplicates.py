"""Finds the pairs of vectors whose cosine reaches a threshold, block by block, and groups them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from memories_async.vectors._search import compute_pairs
from memories_async.vectors._store import Doubles, VectorStore
from memories_async.vectors._values import (
    DuplicateGroup,
    DuplicateKind,
    Duplicates,
    VectorPair,
)

MAX_PAIRS = 1_000_000
"""Pairs that are kept at most: a low threshold has half of the square of the vectors."""
_CANDIDATES = MAX_PAIRS + 100_000
"""Beyond it, pairs are not computed again: most of them do reach the threshold."""
BLOCK_ROWS = 1_024
"""Rows that are compared at once with as many others."""
_TOLERANCE = 2e-6
"""By how much products of 32-bit floats may be wrong."""
THRESHOLDS: dict[DuplicateKind, float] = {"same film or scene": 0.9, "same seconds": 0.98}
_NOTES: dict[DuplicateKind, str] = {
    "same film or scene": (
        "Groups films and scenes, by chains of pairs. Two parts of one film look alike, so a pair need not"
        " show the same seconds; a copy with a border or a cropped picture may be missed."
    ),
    "same seconds": (
        "Groups videos that are all near to each other. One vector stands for a whole video, so other"
        " seconds of the same scene may pass, and copies that were cut, cropped or framed are missed."
    ),
}
_NOT_CALIBRATED = " The threshold is a default, which no pair of yours confirms: see calibrate."


@frozen(eq=False)
class RowPairs:
    """Pairs of rows with their cosines; the first row is the smaller."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    cosines: Doubles

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        """Iterate over the pairs, nearest first, then as loaded."""
        order = np.lexsort((self.second, self.first, -self.cosines))
        columns = (self.first[order], self.second[order], self.cosines[order])
        yield from zip(*(column.tolist() for column in columns), strict=True)


def find_duplicates(
    store: VectorStore, keys: Sequence[str], kind: DuplicateKind, threshold: float | None
) -> Duplicates:
    """Find the groups of vectors that belong together."""
    note, limit = _NOTES[kind], threshold
    if limit is None:
        limit, note = THRESHOLDS[kind], note + _NOT_CALIBRATED
    pairs = [*find_pairs(store, limit)]
    merge = merge_chains if kind == "same film or scene" else merge_complete
    of_row = {row: at for at, rows in enumerate(merge(pairs)) for row in rows}
    members, within = defaultdict[int, list[int]](list), defaultdict[int, list[VectorPair]](list)
    for row in sorted(of_row):
        members[of_row[row]].append(row)
    for first, second, cosine in pairs:
        if (group := of_row.get(first)) is not None and group == of_row.get(second):
            within[group].append(VectorPair(keys[first], keys[second], cosine))
    order = sorted(members, key=lambda at: (-len(members[at]), members[at]))
    groups = (
        DuplicateGroup(tuple(keys[row] for row in members[at]), tuple(within[at])) for at in order
    )
    return Duplicates(tuple(groups), kind, limit, note)


def find_pairs(store: VectorStore, threshold: float) -> RowPairs:
    """Find every pair whose cosine, rounded, reaches *threshold*; each once.

    Raises `ValueError` where there are more than `MAX_PAIRS`.
    """
    found: list[RowPairs] = []
    count = 0
    for rows, block in store.iterate_unit_blocks(BLOCK_ROWS):
        for others, other in store.iterate_unit_blocks(BLOCK_ROWS, begin=rows.start):
            near = block @ other.T >= threshold - _TOLERANCE
            first, second = np.nonzero(np.triu(near, 1) if others == rows else near)
            if count + len(first) > _CANDIDATES:
                raise _refuse(threshold)
            first, second = first + rows.start, second + others.start
            cosines = compute_pairs(store, first, second)
            kept = cosines >= threshold
            count += int(kept.sum())
            if kept.any():
                found.append(RowPairs(first[kept], second[kept], cosines[kept]))
            if count > MAX_PAIRS:
                raise _refuse(threshold)
    if not found:
        return RowPairs(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    return RowPairs(
        np.concatenate([pairs.first for pairs in found]),
        np.concatenate([pairs.second for pairs in found]),
        np.concatenate([pairs.cosines for pairs in found]),
    )


def _refuse(threshold: float) -> ValueError:
    return ValueError(f"more than {MAX_PAIRS:,} pairs reach the threshold {threshold}: raise it")


def merge_chains(pairs: Iterable[tuple[int, int, float]]) -> list[set[int]]:
    """Merge rows that a chain of pairs connects: to be of one film passes from pair to pair."""
    groups = Groups()
    for first, second, _ in pairs:
        groups.merge(first, second)
    return groups.list_groups()


def merge_complete(pairs: Sequence[tuple[int, int, float]]) -> list[set[int]]:
    """Merge rows that are all pairs of each other, the nearest pairs first.

    To show the same seconds does not pass from pair to pair: a film's cuts would drift apart.
    """
    groups = Groups()
    near = defaultdict[int, set[int]](set)
    for first, second, _ in pairs:
        near[first].add(second)
        near[second].add(first)
    for first, second, _ in pairs:
        left, right = groups.find(first), groups.find(second)
        if left is not right and all(right <= near[row] for row in left):
            groups.merge(first, second)
    return groups.list_groups()


@define
class Groups:
    """Rows in groups that are merged; a row belongs to one."""

    _of_row: dict[int, set[int]] = field(factory=dict[int, set[int]])

    def find(self, row: int) -> set[int]:
        """Return the group of *row*, which is alone at first."""
        return self._of_row.setdefault(row, {row})

    def merge(self, first: int, second: int) -> None:
        """Merge the groups of two rows, the smaller into the larger."""
        small, large = sorted((self.find(first), self.find(second)), key=len)
        if small is not large:
            large |= small
            self._of_row.update(dict.fromkeys(small, large))

    def list_groups(self) -> list[set[int]]:
        """List the groups of two rows and more."""
        unique = {id(group): group for group in self._of_row.values()}
        return [group for group in unique.values() if len(group) > 1]
