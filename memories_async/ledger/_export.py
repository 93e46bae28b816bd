"""A ledger as a table for other programs: Parquet, CSV or JSON lines, in memory that does not grow.

A file appears under its name complete or not at all, readable by its owner only: prompts and
answers are personal data.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from memories_async._protocol import wire_json
from memories_async.ledger._parquet import COLUMNS, Row, write_parquet
from memories_async.ledger._replies import data_of
from memories_async.ledger._values import Entry

_TIMES = ("planned_at", "sent_at", "ended_at")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(entries: Iterable[Entry], path: Path, *, numbers: int) -> int:
    """Write *entries* to *path*, in the format that its name says; return how many.

    *numbers* is the length of the ledger's embeddings, 0 where it has none.
    """
    writers: dict[str, Callable[[Iterator[Row], Path], int]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": partial(write_parquet, numbers=numbers),
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise ValueError(f"the file must be called {', '.join(writers)}, not {path.name}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        count = write(map(_row, entries), Path(name))
        os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return count


def _row(entry: Entry) -> Row:
    cells: dict[str, Any] = {
        "key": entry.key,
        "item": entry.item,
        "call": entry.call,
        "state": entry.state,
        "billed": entry.billed,
        "attempts": entry.attempts,
        "cost": entry.cost,
        "unit": entry.unit,
        "account": entry.account,
        "planned_at": entry.planned_at,
        "sent_at": entry.sent_at,
        "ended_at": entry.ended_at,
        "status": entry.status,
        "message": entry.message,
        "asked": entry.asked,
    }
    answered = entry.state == "done" and entry.reply is not None
    return Row(cells, data_of(entry.reply or b"") if answered else None)


def _csv(rows: Iterator[Row], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            count += 1
            cells = {**row.cells, **_moments(row), "answer": _text(row.answer)}
            writer.writerow(_harmless(cells[name]) for name in COLUMNS)
    return count


def _jsonl(rows: Iterator[Row], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            count += 1
            asked = json.loads(row.cells["asked"])
            document = {**row.cells, **_moments(row), "asked": asked, "answer": row.answer}
            file.write(wire_json.dumps(document) + b"\n")
    return count


def _moments(row: Row) -> dict[str, str | None]:
    return {name: _moment(row.cells[name]) for name in _TIMES}


def _text(answer: Any) -> str | None:
    return None if answer is None else wire_json.dumps(answer).decode()


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _harmless(cell: Any) -> Any:
    """Keep a spreadsheet from running a stranger's text as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
