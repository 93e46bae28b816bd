"""Vectors that can be compared with each other, and what can be asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal, Self, TypeAlias

from attrs import frozen

from memories_async.ledger import Ledger
from memories_async.vectors._calibrate import calibrate, group_copies, pair_across
from memories_async.vectors._classify import classify
from memories_async.vectors._duplicates import THRESHOLDS, find_duplicates
from memories_async.vectors._export import export
from memories_async.vectors._index import ApproximateIndex, IndexKind, build_index
from memories_async.vectors._loading import Choice, Loaded, Loader, keep_file
from memories_async.vectors._map import project
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
from memories_async.vectors._store import Doubles, measure_file
from memories_async.vectors._table import Query, VectorTable, check_count
from memories_async.vectors._values import (
    UNSURE,
    Calibration,
    Classification,
    DuplicateKind,
    Duplicates,
    Neighbour,
)

Source: TypeAlias = (
    Ledger | str | os.PathLike[str] | Mapping[str, Vector] | Iterable[tuple[str, Vector]]
)


@frozen(eq=False, repr=False)
class Vectors(VectorTable):
    """Embeddings under their keys, compared by the cosine of the angle between them.

    Made by `Vectors.of`. The numbers are in a file that is mapped into memory; of one above 512 MB, no
    more than a block is resident. The methods block and cost nothing: from a coroutine, call them
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

    def duplicates(
        self,
        threshold: float | None = None,
        *,
        kind: DuplicateKind = "same film or scene",
    ) -> Duplicates:
        """Group the vectors whose cosine is *threshold* or more.

        *kind* says what a group means. `same film or scene`: a chain of pairs connects its vectors; other
        seconds of one film pass, and so do films that look alike. `same seconds`: every two of its
        vectors are a pair; of one vector for a whole video that is all that can be said, so other seconds
        of a scene that does not change may pass, and copies that were cropped, framed or cut are missed.

        The threshold depends on the model: take it from `calibrate`. Without one it is 0.9 or 0.98, and
        the answer's `note` says that nothing confirms it. All pairs are compared, in blocks; 100,000
        vectors take minutes, and the memory of a few blocks and of the pairs found. Raises `ValueError`
        for a threshold outside of -1 to 1, or one that more than 1,000,000 pairs reach.
        """
        if kind not in THRESHOLDS:
            raise ValueError(f"kind must be {' or '.join(map(repr, THRESHOLDS))}, not {kind!r}")
        if threshold is not None and not -1 <= threshold <= 1:
            raise ValueError(f"threshold must be from -1 to 1, not {threshold!r}")
        return find_duplicates(self.store, self.keys, kind, threshold)

    def calibrate(
        self,
        known_copies: Iterable[Sequence[str]],
        known_others: Iterable[Sequence[str]] | None = None,
        *,
        precision: float = 0.99,
    ) -> Calibration:
        """Choose the threshold for `duplicates` by pairs that you know to be copies.

        *known_copies* are pairs, or groups of copies of one another, of keys. *known_others* are pairs
        that are no copies; without them, videos of different groups of copies are taken for such. The
        threshold is the lowest whose pairs are copies to a share of *precision*, so it finds the most
        copies. What copies are is yours to say: with other seconds of one film among them, the threshold
        is one for `same film or scene`.

        The answer has the precision and recall on these pairs and their 95 % lower ends, and its `note`
        says where the pairs are too few or no threshold is that precise. Raises `KeyError` for an unknown
        key, and `ValueError` where there are no copies, or a pair is one of a key with itself or is
        both.
        """
        if not 0 < precision <= 1:
            raise ValueError(f"precision must be above 0 and at most 1, not {precision!r}")
        copies = self._read_pairs("known_copies", known_copies)
        if not copies:
            raise ValueError("known_copies must have a pair of keys")
        if known_others is None:
            others = pair_across(group_copies(copies))
        else:
            others = self._read_pairs("known_others", known_others)
        both = next(iter({*copies} & {*others}), None)
        if both is not None:
            names = " and ".join(self.keys[row] for row in both)
            raise ValueError(f"{names} cannot be both known copies and known others")
        return calibrate(self.store, copies, others, precision)

    def _read_pairs(self, name: str, groups: Iterable[Sequence[str]]) -> list[tuple[int, int]]:
        """Return the pairs of rows within each group, each once."""
        pairs: dict[tuple[int, int], None] = {}
        for group in groups:
            if isinstance(group, str) or len(group) < 2:  # noqa: PLR2004  # a pair
                raise ValueError(f"{name} must hold pairs of keys, not {group!r}")
            for first, second in combinations(sorted(map(self.find_row, group)), 2):
                if first == second:
                    raise ValueError(f"{name} has {self.keys[first]!r} twice in one group")
                pairs[first, second] = None
        return [*pairs]

    def classify(
        self, labels: Mapping[str, str], k: int = 5, *, min_margin: float = 0.25
    ) -> Classification:
        """Label the vectors that *labels* does not name, by their *k* nearest labelled ones.

        These vote with their cosine. Where the first label leads the second by less than *min_margin* of
        all votes, the answer is `unsure`. The accuracy is that of the labelled vectors, each labelled by
        the others (leave-one-out): it holds for the rest only if that looks like them. Raises `KeyError`
        for an unknown key, and `ValueError` for less than two labels, an empty one or `unsure`, a *k*
        below 1, or a *min_margin* outside of 0 to 1.
        """
        check_count("k", k)
        if not 0 <= min_margin <= 1:
            raise ValueError(f"min_margin must be from 0 to 1, not {min_margin!r}")
        wrong = next((key for key, one in labels.items() if not one or one == UNSURE), None)
        if wrong is not None:
            raise ValueError(f"the label of {wrong!r} must not be {labels[wrong]!r}")
        if len({*labels.values()}) < 2:  # noqa: PLR2004  # nothing to choose from
            raise ValueError(f"labels must have two different labels, not {[*labels.values()][:1]}")
        known = {self.find_row(key): label for key, label in labels.items()}
        return classify(self.store, self.keys, known, k, min_margin)

    def map(self) -> Doubles:
        """Return two coordinates for each vector, in the order of `keys`, for pictures.

        They are the first two principal components (by SVD), of which the largest number is positive: the
        same vectors give the same picture. Near points may still be far apart in other directions.
        """
        return project(self.store)

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
