"""Loads vectors, and refuses those that cannot be compared: with each other, or at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from attrs import define, field, frozen

from memories_async.vectors._sources import NpyNames, SourceRow
from memories_async.vectors._store import (
    EMPTY,
    Doubles,
    VectorStore,
    VectorWriter,
)

_SHOWN = 5
"""Keys that an error names; it counts the others."""


@frozen(kw_only=True)
class Choice:
    """Which of a source's vectors are wanted."""

    model: str | None = None
    account: str | None = None
    dimensions: int | None = None
    is_mixed: bool = False
    """Whether vectors of several models and accounts may be compared."""
    is_lenient: bool = False
    """Whether vectors that cannot be compared are left out."""
    dtype: str = "float32"

    def __attrs_post_init__(self) -> None:
        if self.dtype not in {"float32", "float16"}:
            raise ValueError(f"dtype must be 'float32' or 'float16', not {self.dtype!r}")
        if self.dimensions is not None and self.dimensions < 1:
            raise ValueError(f"dimensions must be 1 or more, not {self.dimensions!r}")

    def wants(self, row: SourceRow) -> bool:
        """Whether *row* is of the model and account that were chosen."""
        return self.model in {None, row.model} and self.account in {None, row.account}


@frozen
class Loaded:
    """Vectors that can be compared with each other."""

    store: VectorStore
    keys: tuple[str, ...]
    models: tuple[str | None, ...]
    accounts: tuple[str | None, ...]
    skipped: Mapping[str, str]


@define(eq=False)
class KeyCount:
    """How many vectors are of one kind, and the first keys."""

    keys: list[str] = field(factory=list[str])
    count: int = 0

    def add(self, key: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.keys) < _SHOWN:
            self.keys.append(key)

    def __str__(self) -> str:
        more = f" and {self.count - _SHOWN:,} more" if self.count > _SHOWN else ""
        return ", ".join(self.keys) + more


@define(eq=False)
class Loader:
    """Takes the rows of a source, one at a time."""

    choice: Choice
    _writer: VectorWriter | None = None
    _kinds: dict[str, dict[Any, KeyCount]] = field(
        factory=lambda: {name: {} for name in ("dimensions", "model", "account")}
    )
    """The vectors of each length, model and account."""
    _rows: dict[str, int] = field(factory=dict[str, int])
    _calls: dict[str, str] = field(factory=dict[str, str])
    _invalid: dict[str, str] = field(factory=dict[str, str])

    def load(self, rows: Iterable[SourceRow]) -> Loaded:
        """Load all *rows*. Raises `ValueError` that names keys where some cannot be compared."""
        try:
            return self._load(rows)
        finally:
            if self._writer is not None:
                self._writer.close()

    def _load(self, rows: Iterable[SourceRow]) -> Loaded:
        for row in filter(self.choice.wants, rows):
            self._add(row)
        self._refuse_mixed()
        if self._invalid and not self.choice.is_lenient:
            named = KeyCount()
            for key, why in self._invalid.items():
                named.add(f"{key} ({why})")
            raise ValueError(
                f"{named.count:,} of the vectors cannot be compared: {named}."
                " skip_invalid=True leaves them out"
            )
        store = VectorStore.make_empty() if self._writer is None else self._writer.finish()
        models, accounts = (tuple(self._kinds[name]) for name in ("model", "account"))
        return Loaded(store, tuple(self._rows), models, accounts, self._invalid)

    def _add(self, row: SourceRow) -> None:
        vector = read_numbers(row)
        if vector is None or not vector.size:
            self._invalid[row.key] = EMPTY
            return
        if self.choice.dimensions not in {None, len(vector)}:
            return
        kinds = {"dimensions": len(vector), "model": row.model, "account": row.account}
        for name, kind in kinds.items():
            self._kinds[name].setdefault(kind, KeyCount()).add(row.key)
        if self._writer is None:
            self._writer = VectorWriter(self.choice.dtype, len(vector))
        if len(vector) != self._writer.dimensions:
            return  # refused at the end, when all lengths are known
        at = self._rows.get(row.key, len(self._rows))
        if at < len(self._rows) and (row.call is None or self._calls.get(row.key) != row.call):
            raise ValueError(f"two vectors have the key {row.key!r}: keys must differ")
        why = self._writer.write(at, vector)
        if why is not None:
            self._invalid[row.key] = why
            return
        self._rows[row.key] = at
        if row.call is not None:
            self._calls[row.key] = row.call

    def _refuse_mixed(self) -> None:
        """Raise `ValueError` where the vectors differ in length, model or account."""
        for name, found in self._kinds.items():
            is_length = name == "dimensions"
            if len(found) < 2 or (self.choice.is_mixed and not is_length):  # noqa: PLR2004  # all alike
                continue
            shown = "; ".join(f"{kind!r}: {keys}" for kind, keys in found.items())
            why = "vectors of two lengths have no cosine" if is_length else "mixed=True keeps all"
            raise ValueError(
                f"the vectors differ in {name} ({shown}): choose with {name}=...; {why}"
            )


def read_numbers(row: SourceRow) -> Doubles | None:
    """Return a row's numbers as doubles; None where there is no vector."""
    if row.vector is None:
        return None
    try:
        vector: Doubles = np.asarray(row.vector, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the vector of {row.key!r} must hold numbers only: {error}") from None
    if vector.ndim != 1:
        raise ValueError(f"the vector of {row.key!r} must be one row of numbers")
    return vector


def keep_file(store: VectorStore, names: NpyNames, choice: Choice) -> Loaded | None:
    """Use the mapped rows of a file as they are; None where some must be left out or refused."""
    is_wanted = choice.wants(SourceRow("", None, names.model, names.account))
    has_length = choice.dimensions in {None, store.dimensions}
    if not is_wanted or not has_length or len(set(names.keys)) != len(names.keys):
        return None
    return Loaded(store, names.keys, (names.model,), (names.account,), {})


def read_query(vector: Any, dimensions: int) -> Doubles:
    """Check a vector that others are compared with, and give it the length 1."""
    numbers = read_numbers(SourceRow("query", vector))
    count = 0 if numbers is None else len(numbers)
    if numbers is None or count != dimensions:
        raise ValueError(f"the vector must have {dimensions:,} numbers, not {count:,}")
    with np.errstate(all="ignore"):
        norm = np.sqrt(numbers @ numbers)
    if not np.isfinite(norm) or norm == 0:
        raise ValueError("the vector must be finite, and not zero in all numbers")
    return numbers / norm
