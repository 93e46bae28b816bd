"""Where vectors come from: a ledger, a Parquet or `.npy` file, a mapping; one row in memory at a time."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
from attrs import frozen

from memories_async._protocol import wire_json
from memories_async.embeddings import Embedding
from memories_async.ledger import Entry, Ledger
from memories_async.ledger._export import read_vector
from memories_async.ledger._replies import read_data
from memories_async.vectors._store import open_table

KeyBy: TypeAlias = Literal["asset_id", "item"]
Vector: TypeAlias = Sequence[float] | npt.NDArray[np.floating[Any]]
_BATCH = 1_000
"""Rows of a Parquet file that are read at once."""
_CALLS = "embeddings."
"""How the names of calls that give vectors begin."""


@frozen
class SourceRow:
    """A vector as its source has it, and what it is of."""

    key: str
    vector: Any
    """Numbers, or None where the source has no vector for the key."""
    model: str | None = None
    account: str | None = None
    call: str | None = None
    """The ledger's key of its call: of two answers to one call, the newer counts."""


def read_ledger(ledger: Ledger, key_by: KeyBy) -> Iterator[SourceRow]:
    """Read the embeddings of a ledger, oldest first."""
    for entry in ledger.entries(state="done"):
        if entry.call.startswith(_CALLS):
            yield _read_entry(entry, key_by)


def _read_entry(entry: Entry, key_by: KeyBy) -> SourceRow:
    asked = read_fields(entry.asked)
    vector = None if entry.reply is None else read_vector(_unwrap(read_data(entry.reply)))
    key = _choose_key(key_by, asked, entry.item, entry.key)
    return SourceRow(key, vector, asked.get("model"), entry.account, entry.key)


def read_fields(asked: str) -> Mapping[str, Any]:
    """Read the fields of a call: an object, or the name and value of each part of a form."""
    fields: Any = json.loads(asked)
    return fields if wire_json.is_object(fields) else dict(fields)


def _unwrap(data: Any) -> Any:
    """Take the only item of a list, in which the service answers some embeddings."""
    return data[0] if wire_json.is_array(data) and len(data) == 1 else data


def _choose_key(key_by: KeyBy, asked: Mapping[str, Any], item: str | None, call: str) -> str:
    asset_id = asked.get("asset_id")
    names = (item, asset_id) if key_by == "item" else (asset_id, item)
    return str(next((name for name in names if name), call[:12]))


def read_parquet(path: Path, key_by: KeyBy) -> Iterator[SourceRow]:
    """Read an exported ledger, exported vectors, or any table with a key and an embedding.

    A folder is read as all its `.parquet` files.
    """
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'memories_async[arrow]'") from None
    for one in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        with parquet.ParquetFile(one) as file:
            yield from _read_table(file, one, key_by)


def _read_table(file: Any, path: Path, key_by: KeyBy) -> Iterator[SourceRow]:
    names = set(file.schema_arrow.names)
    name = next((one for one in ("key", "asset_id") if one in names), None)
    if name is None or "embedding" not in names:
        raise ValueError(
            f"{path} must have the columns embedding and key or asset_id, not {sorted(names)}"
        )
    is_ledger = {"asked", "call", "item"} <= names
    wanted = {name, "embedding", "model", "account"}
    wanted |= {"asked", "call", "item", "state"} if is_ledger else set()
    for batch in file.iter_batches(batch_size=_BATCH, columns=sorted(wanted & names)):
        vectors = batch.column("embedding")
        others = batch.drop_columns(["embedding"]).to_pylist()
        for cells, scalar in zip(others, vectors, strict=True):
            vector = scalar.values.to_numpy(zero_copy_only=False) if scalar.is_valid else None
            if not is_ledger:
                key = str(cells[name])
                yield SourceRow(key, vector, cells.get("model"), cells.get("account"))
            elif cells["call"].startswith(_CALLS) and cells["state"] == "done":
                asked = read_fields(cells["asked"])
                key = _choose_key(key_by, asked, cells["item"], cells["key"])
                yield SourceRow(key, vector, asked.get("model"), cells["account"], cells["key"])


def read_pairs(pairs: Any) -> Iterator[SourceRow]:
    """Read a mapping or pairs: keys with embeddings, or with plain numbers, whose model is not known."""
    each: Iterable[tuple[str, Any]] = pairs.items() if is_mapping(pairs) else pairs
    for key, vector in each:
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise TypeError(f"a vector's key must be text, not {key!r}")
        model = vector.model if isinstance(vector, Embedding) else None
        yield SourceRow(key, vector, model)


def is_mapping(source: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether *source* has its vectors under keys."""
    return isinstance(source, Mapping)


@frozen
class NpyNames:
    """What the file beside a `.npy` file says of its rows."""

    keys: tuple[str, ...]
    model: str | None = None
    account: str | None = None

    @classmethod
    def read(cls, path: Path, count: int) -> NpyNames:
        """Read the names of *count* rows; without the file they are called 0, 1 and so on."""
        beside = place_names(path)
        if not beside.exists():
            return cls(tuple(map(str, range(count))))
        document: Any = json.loads(beside.read_text("utf-8"))
        if not wire_json.is_object(document):
            document = {}
        keys = document.get("keys")
        if not wire_json.is_array(keys) or len(keys) != count:
            raise ValueError(f"{beside} must name {count:,} keys, one for each row of {path.name}")
        return cls(tuple(map(str, keys)), document.get("model"), document.get("account"))

    def write(self, path: Path) -> None:
        """Write the names to *path*."""
        document = {"keys": self.keys, "model": self.model, "account": self.account}
        path.write_text(json.dumps(document), "utf-8")


def place_names(path: Path) -> Path:
    """Place the file with the keys: `x.keys.json` for `x.npy`."""
    return path.with_suffix(".keys.json")


def read_npy(path: Path) -> Iterator[SourceRow]:
    """Read the rows of a `.npy` file one by one, to convert them."""
    table = open_table(path)
    names = NpyNames.read(path, len(table))
    for key, vector in zip(names.keys, table, strict=True):
        yield SourceRow(key, vector, names.model, names.account)
