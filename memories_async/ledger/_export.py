"""Writes the ledger as a table for other programs: Parquet, CSV or JSON lines, in constant memory.

A file appears under its name when it is complete, readable by its owner only: prompts and answers
are personal data.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from attrs import frozen

from memories_async._protocol import wire_json
from memories_async.ledger._replies import read_data
from memories_async.ledger._values import Entry

GROUP = 2_000
"""Rows of a Parquet row group, all in memory at once."""
_TYPES = {
    **dict.fromkeys(("key", "item", "call", "state", "billed"), "string"),
    "attempts": "int64",
    "cost": "float64",
    **dict.fromkeys(("unit", "account"), "string"),
    **dict.fromkeys(("planned_at", "sent_at", "ended_at"), "timestamp"),
    "status": "int64",
    **dict.fromkeys(("message", "asked", "answer"), "string"),
}
_COLUMNS = (*_TYPES,)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@frozen
class _Row:
    """One entry's cells, its answer still as data."""

    cells: dict[str, Any]
    answer: Any


def export(entries: Iterable[Entry], path: Path, *, numbers: int) -> int:
    """Write *entries* to *path*, in the format of its suffix; return how many.

    *numbers* is the length of the ledger's embeddings, 0 where it has none.
    """
    writers: dict[str, Callable[[Iterator[_Row], Path], int]] = {
        ".csv": _write_csv,
        ".jsonl": _write_jsonl,
        ".parquet": partial(_write_parquet, numbers=numbers),
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"the file must be called {', '.join(writers)}, not {path.name}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        count = write(map(_build_row, entries), Path(name))
        os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return count


def read_vector(answer: Any) -> list[float] | None:
    """Return the numbers of an embedding's data; None for every other answer."""
    numbers = answer.get("embedding") if wire_json.is_object(answer) else None
    return numbers if wire_json.is_array(numbers) else None


def _build_row(entry: Entry) -> _Row:
    cells = {name: getattr(entry, name) for name in _COLUMNS if name != "answer"}
    is_answered = entry.state == "done" and entry.reply is not None
    return _Row(cells, read_data(entry.reply or b"") if is_answered else None)


def _format_times(row: _Row) -> dict[str, str | None]:
    seconds = {name: row.cells[name] for name, kind in _TYPES.items() if kind == "timestamp"}
    return {
        name: None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
        for name, at in seconds.items()
    }


def _write_csv(rows: Iterator[_Row], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for row in rows:
            count += 1
            answer = None if row.answer is None else wire_json.dumps(row.answer).decode()
            cells = {**row.cells, **_format_times(row), "answer": answer}
            # A leading quote keeps a spreadsheet from running the text as a formula.
            writer.writerow(
                f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
                for cell in map(cells.get, _COLUMNS)
            )
    return count


def _write_jsonl(rows: Iterator[_Row], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            count += 1
            asked = json.loads(row.cells["asked"])
            document = {**row.cells, **_format_times(row), "asked": asked, "answer": row.answer}
            file.write(wire_json.dumps(document) + b"\n")
    return count


def _write_parquet(rows: Iterator[_Row], path: Path, *, numbers: int) -> int:
    """Write *rows* in groups; where *numbers* is not 0, embeddings get a column of fixed-size lists."""
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError("Parquet needs pyarrow: pip install 'memories_async[arrow]'") from None
    kinds = {"timestamp": arrow.timestamp("us", tz="UTC"), "string": arrow.string()}
    kinds |= {"int64": arrow.int64(), "float64": arrow.float64()}
    fields = [(name, kinds[kind]) for name, kind in _TYPES.items()]
    if numbers:
        fields.append(("embedding", arrow.list_(arrow.float64(), numbers)))
    schema = arrow.schema(fields)
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while group := [*islice(rows, GROUP)]:
            columns = [_build_column(arrow, field, group) for field in schema]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(group)
    return count


def _build_column(arrow: Any, field: Any, rows: list[_Row]) -> Any:
    if field.name == "embedding":
        size = field.type.list_size
        vectors = [read_vector(row.answer) for row in rows]
        fitting = [v if v is not None and len(v) == size else None for v in vectors]
        flat = chain.from_iterable(vector or [0.0] * size for vector in fitting)
        return arrow.FixedSizeListArray.from_arrays(
            arrow.array(flat, arrow.float64()),
            type=field.type,
            mask=arrow.array([vector is None for vector in fitting], arrow.bool_()),
        )
    if field.name == "answer":
        # An embedding has its own column.
        cells: list[Any] = [
            None
            if row.answer is None or read_vector(row.answer) is not None
            else json.dumps(row.answer, ensure_ascii=False)
            for row in rows
        ]
    else:
        cells = [row.cells[field.name] for row in rows]
    if arrow.types.is_timestamp(field.type):
        cells = [None if seconds is None else round(seconds * 1_000_000) for seconds in cells]
    return arrow.array(cells, field.type)
