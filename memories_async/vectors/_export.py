"""Writes vectors for other programs, a block at a time: Parquet, numpy's format, or a faiss index."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from memories_async.vectors._index import build_faiss, choose_kind, import_faiss
from memories_async.vectors._sources import NpyNames, place_names
from memories_async.vectors._table import VectorTable

_GROUP = 2_000
"""Rows of a Parquet row group."""


def export(vectors: VectorTable, path: Path) -> int:
    """Write *vectors* to *path*, in the format of its suffix; return how many."""
    writers: dict[str, Callable[[VectorTable, Path], None]] = {
        ".parquet": _write_parquet,
        ".npy": _write_npy,
        ".faiss": _write_faiss,
    }
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise ValueError(f"the file must be called {', '.join(writers)}, not {path.name!r}")
    _replace(path, lambda target: writers[suffix](vectors, target))
    if suffix != ".parquet":
        names = NpyNames(vectors.keys, vectors.model, vectors.account)
        _replace(place_names(path), names.write)
    return len(vectors)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let *write* make the file under another name, and give it its own when it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(name))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_npy(vectors: VectorTable, path: Path) -> None:
    matrix = vectors.store.matrix
    header = {"descr": matrix.dtype.str, "fortran_order": False, "shape": matrix.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for rows, _ in vectors.store.iterate_blocks():
            file.write(np.ascontiguousarray(matrix[rows]).data)


def _write_parquet(vectors: VectorTable, path: Path) -> None:
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'memories_async[arrow]'") from None
    matrix = vectors.store.matrix
    number = arrow.from_numpy_dtype(matrix.dtype)
    text = arrow.string()
    schema = arrow.schema(
        [
            *(("key", text), ("model", text), ("account", text)),
            ("embedding", arrow.list_(number, vectors.dimensions)),
        ]
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for rows, _ in vectors.store.iterate_blocks(_GROUP):
            keys = vectors.keys[rows]
            flat = arrow.array(matrix[rows].reshape(-1), number)
            columns = [
                arrow.array(keys, text),
                arrow.array([vectors.model] * len(keys), text),
                arrow.array([vectors.account] * len(keys), text),
                arrow.FixedSizeListArray.from_arrays(flat, vectors.dimensions),
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))


def _write_faiss(vectors: VectorTable, path: Path) -> None:
    import_faiss().write_index(build_faiss(vectors.store, choose_kind(vectors.store)), str(path))
