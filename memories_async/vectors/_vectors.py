"""Vectors that can be compared with each other, and what can be asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Self, TypeAlias

from attrs import frozen

from memories_async.ledger import Ledger
from memories_async.vectors._export import export
from memories_async.vectors._index import ApproximateIndex, IndexKind, build_index
from memories_async.vectors._loading import Choice, Loaded, Loader, keep_file
from memories_async.vectors._search import find_nearest
from memories_async.vectors._sources import (
    KeyBy,
    NpyNames,
    Vector,
    read_ledger,
    read_npy,
    read_pairs,
    read_parquet,
)
from memories_async.vectors._store import measure_file
from memories_async.vectors._table import Query, VectorTable
from memories_async.vectors._values import Neighbour

Source: TypeAlias = (
    Ledger | str | os.PathLike[str] | Mapping[str, Vector] | Iterable[tuple[str, Vector]]
)


@frozen(eq=False, repr=False)
class Vectors(VectorTable):
    """Embeddings under their keys, compared by the cosine of the angle between them.

    Made by `Vectors.of`. The numbers are in a file that is mapped into memory, and no more of it than a
    block is resident if it is large. The methods block and cost nothing: from a coroutine, call them
    with `asyncio.to_thread`. Results do not depend on the order of blocks: cosines are rounded to 6
    digits, and equal ones stand in the order in which the vectors were loaded.
    """

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        model: str | None = None,
        account: str | None = None,
        dimensions: int | None = None,
        mixed: bool = False,
        skip_invalid: bool = False,
        dtype: Literal["float32", "float16"] = "float32",
        key_by: KeyBy = "asset_id",
    ) -> Self:
        """Load the vectors of a `Ledger`, a file, or a mapping or stream of keys and vectors.

        A file is `.parquet` (an exported ledger, exported vectors, or any table with the columns `key`
        or `asset_id`, and `embedding`; needs the extra `arrow`) or `.npy` (one row a vector, their keys
        in `x.keys.json` beside `x.npy`). Of a ledger, embeddings are found under their asset id, or under
        the key that a batch gave them (`key_by="item"`); of two answers to one call, the newer counts.

        The vectors must be of one model, length and account; *model*, *dimensions* and *account* choose
        one, and *mixed* compares several models and accounts all the same. *dtype* is how the numbers are
        stored: `float16` takes half of the disk, makes each vector's length 1, and is searched more
        slowly. A `.npy` file of that type is used where it is; everything else is streamed into a
        temporary file.

        Raises `ValueError` with the first keys for vectors that differ in these, for two of one key, and
        for empty, zero and non-finite vectors, which *skip_invalid* leaves out (see `skipped`).
        """
        choice = Choice(
            model=model,
            account=account,
            dimensions=dimensions,
            is_mixed=mixed,
            is_lenient=skip_invalid,
            dtype=dtype,
        )
        if key_by not in {"asset_id", "item"}:
            raise ValueError(f"key_by must be 'asset_id' or 'item', not {key_by!r}")
        loaded = load(source, choice, key_by)
        return cls(
            loaded.store,
            loaded.keys,
            loaded.models[0] if len(loaded.models) == 1 else None,
            loaded.accounts[0] if len(loaded.accounts) == 1 else None,
            dict(loaded.skipped),
            {key: row for row, key in enumerate(loaded.keys)},
        )

    def similar(self, query: Query, k: int = 10) -> tuple[Neighbour, ...]:
        """Return up to *k* vectors nearest to *query*, nearest first, by exact search.

        *query* is a key, whose own vector is left out, or an `Embedding`, or plain numbers. Raises
        `KeyError` for an unknown key, and `ValueError` for a vector of another model or length, one that
        is zero or not finite, or a *k* below 1.
        """
        vector, own = self.resolve_query(query, k)
        if not self.keys:
            return ()
        return self.name_rows(*find_nearest(self.store, vector, k, own=own))

    def index(self, kind: IndexKind | None = None) -> ApproximateIndex:
        """Build an approximate index in memory, for many queries to many vectors; needs faiss-cpu.

        *kind* is `hnsw` or `ivf`; without it, `ivf` from 200,000 vectors on. Its recall against exact
        search is measured on 200 vectors of these. Raises `ValueError` where there are no vectors.
        """
        return build_index(self, kind)

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write the vectors to a `.parquet`, `.npy` or `.faiss` file; return how many.

        The keys are a column of Parquet (extra `arrow`), and a file `x.keys.json` beside the others. A
        `.faiss` file is an index by inner product of vectors of length 1. The file appears under its
        name when it is complete, readable by its owner only. Raises `ValueError` for another suffix.
        """
        return export(self, Path(path))


def load(source: Source, choice: Choice, key_by: KeyBy) -> Loaded:
    """Load the vectors of *source* by what it is."""
    loader = Loader(choice)
    if isinstance(source, Ledger):
        return loader.load(read_ledger(source, key_by))
    if not isinstance(source, str | os.PathLike):
        return loader.load(read_pairs(source))
    path = Path(source)
    if path.suffix.lower() == ".parquet" or path.is_dir():
        return loader.load(read_parquet(path, key_by))
    if path.suffix.lower() != ".npy":
        raise ValueError(
            f"the file must be called .parquet or .npy, not {path.name!r}; or a Ledger"
        )
    store = measure_file(path, choice.dtype)
    names = None if store is None else NpyNames.read(path, store.count)
    kept = None if store is None or names is None else keep_file(store, names, choice)
    return kept or loader.load(read_npy(path))
