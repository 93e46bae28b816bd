"""A table of vectors under keys, and how a query to it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
from attrs import field, frozen

from memories_async.embeddings import Embedding
from memories_async.vectors._loading import read_query
from memories_async.vectors._search import Rows
from memories_async.vectors._sources import Vector
from memories_async.vectors._store import Doubles, Floats, VectorStore
from memories_async.vectors._values import Neighbour

Query: TypeAlias = str | Embedding | Vector


@frozen(eq=False, repr=False)
class VectorTable:
    """Vectors under their keys."""

    store: VectorStore = field(repr=False)
    """The numbers."""
    keys: tuple[str, ...]
    """The keys, in the order of the rows."""
    model: str | None
    """The model of all vectors; None where it is not known or there are several."""
    account: str | None
    """The account of all vectors, as the ledger names it; None as for `model`."""
    skipped: Mapping[str, str]
    """The vectors that `skip_invalid` left out, and why."""
    _rows: Mapping[str, int]

    @property
    def dimensions(self) -> int:
        """The numbers in each vector."""
        return self.store.dimensions

    def resolve_query(self, query: Query, k: int) -> tuple[Doubles, int | None]:
        """Check a query; return its vector of length 1, and its row if it is one of these."""
        check_count("k", k)
        if isinstance(query, str):
            row = self.find_row(query)
            return self.store.read_units(slice(row, row + 1))[0], row
        if isinstance(query, Embedding) and self.model not in {None, query.model}:
            raise ValueError(
                f"the vector is of the model {query.model!r}, and these are of {self.model!r}"
            )
        if not self.keys:
            return np.empty(0), None
        return read_query(query, self.dimensions), None

    def find_row(self, key: str) -> int:
        """Return the row of *key*; raises `KeyError`."""
        try:
            return self._rows[key]
        except KeyError:
            examples = ", ".join(repr(one) for one in self.keys[:2])
            raise KeyError(f"no vector has the key {key!r}; keys are such as {examples}") from None

    def name_rows(self, rows: Rows, cosines: Doubles) -> tuple[Neighbour, ...]:
        """Return rows and their cosines as values."""
        pairs = zip(map(int, rows), map(float, cosines), strict=True)
        return tuple(Neighbour(self.keys[row], cosine) for row, cosine in pairs)

    def __getitem__(self, key: str) -> Floats:
        """Return the numbers under *key*."""
        numbers: Floats = self.store.matrix[self.find_row(key)].astype(np.float32)
        return numbers

    def __contains__(self, key: object) -> bool:
        """Whether there is a vector under *key*."""
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, as they were loaded."""
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        kind = f"{self.dimensions} x {self.store.matrix.dtype}"
        return f"Vectors({len(self):,} of {kind}, model={self.model!r})"


def check_count(name: str, count: int) -> None:
    """Raise `ValueError` where *count* is no number of things."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        raise ValueError(f"{name} must be 1 or more, not {count!r}")
