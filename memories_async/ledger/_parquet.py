"""Ledger entries as Parquet, a row group at a time, embeddings as lists of one fixed size."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from attrs import frozen

from memories_async._protocol import wire_json

GROUP = 2_000
"""Rows in memory at once, and in a row group."""
_TYPES = {
    **dict.fromkeys(("key", "item", "call", "state", "billed"), "string"),
    "attempts": "int64",
    "cost": "float64",
    **dict.fromkeys(("unit", "account"), "string"),
    **dict.fromkeys(("planned_at", "sent_at", "ended_at"), "timestamp"),
    "status": "int64",
    **dict.fromkeys(("message", "asked", "answer"), "string"),
}
COLUMNS = (*_TYPES,)


@frozen
class Row:
    """One entry's cells, its answer still as data."""

    cells: dict[str, Any]
    answer: Any


def write_parquet(rows: Iterator[Row], path: Path, *, numbers: int) -> int:
    """Write *rows* to *path*; return how many. Where *numbers* is not 0, embeddings have a column."""
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'memories_async[arrow]'") from None
    schema = _schema(arrow, numbers)
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while group := [*islice(rows, GROUP)]:
            columns = [_column(arrow, field, group) for field in schema]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


def _schema(arrow: Any, numbers: int) -> Any:
    kinds = {"timestamp": arrow.timestamp("us", tz="UTC"), "string": arrow.string()}
    kinds |= {"int64": arrow.int64(), "float64": arrow.float64()}
    fields = [(name, kinds[kind]) for name, kind in _TYPES.items()]
    if numbers:
        fields.append(("embedding", arrow.list_(arrow.float64(), numbers)))
    return arrow.schema(fields)


def _column(arrow: Any, field: Any, rows: Sequence[Row]) -> Any:
    if field.name == "embedding":
        return _embeddings(arrow, field.type, rows)
    if field.name == "answer":
        return arrow.array([_answer(row.answer) for row in rows], field.type)
    cells = [row.cells[field.name] for row in rows]
    if arrow.types.is_timestamp(field.type):
        cells = [None if seconds is None else round(seconds * 1_000_000) for seconds in cells]
    return arrow.array(cells, field.type)


def _embeddings(arrow: Any, kind: Any, rows: Sequence[Row]) -> Any:
    vectors = [vector_of(row.answer) for row in rows]
    fitting = [v if v is not None and len(v) == kind.list_size else None for v in vectors]
    blank = [0.0] * kind.list_size
    flat = arrow.array(chain.from_iterable(v or blank for v in fitting), arrow.float64())
    return arrow.FixedSizeListArray.from_arrays(flat, type=kind, mask=_missing(arrow, fitting))


def _missing(arrow: Any, fitting: Sequence[object]) -> Any:
    return arrow.array([vector is None for vector in fitting], arrow.bool_())


def vector_of(answer: Any) -> list[float] | None:
    """Take the numbers out of an embedding's data; None from every other answer."""
    numbers = answer.get("embedding") if wire_json.is_object(answer) else None
    return numbers if wire_json.is_array(numbers) else None


def _answer(answer: Any) -> str | None:
    # An embedding has a column of its own.
    if answer is None or vector_of(answer) is not None:
        return None
    return json.dumps(answer, ensure_ascii=False)
