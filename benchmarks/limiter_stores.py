"""A locked file or SQLite? Milliseconds for an exchange, four processes at once.

Both hold the same bucket and apply the same rule; they differ in how processes wait for one another.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _harness as harness

from memories_async import Limit
from memories_async.limiter import Bucket
from memories_async.limiter._file_store import FileStore, read_clock
from memories_async.limiter._rule import BucketState, Request, step
from memories_async.limiter._store import pack_state, unpack_state

SPAWN = multiprocessing.get_context("spawn")
PROCESSES, PAUSE = 4, 0.004
WHERE = Bucket(account="account@https://api.memories.ai", family="search", limit=Limit(500))


class InSqlite:
    """The same exchange in a table of one row a bucket, as fast as SQLite goes."""

    def __init__(self, path: str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, timeout=5)
        self._file.execute("pragma journal_mode = wal")
        self._file.execute("pragma synchronous = off")
        self._file.execute("create table if not exists buckets (name text primary key, state blob)")

    def exchange(self, where: Bucket, request: Request, *, patience: float) -> object:
        self._file.execute("begin immediate")
        row = self._file.execute(
            "select state from buckets where name = ?", (where.name,)
        ).fetchone()
        now = read_clock()
        state = (unpack_state(row[0]) if row else None) or BucketState()
        state, response = step(state, request, where.limit, now)
        record = where.name, pack_state(state)
        self._file.execute("insert or replace into buckets values (?, ?)", record)
        self._file.execute("commit")
        return response


STORES: dict[str, Callable[[str], Any]] = {"file": FileStore, "sqlite": InSqlite}


def ask(kind: str, path: str, count: int, sent: Any) -> None:
    """Make *count* exchanges, one every few milliseconds, and send how long each took."""
    store, took = STORES[kind](path), list[float]()
    request = Request(member=f"{os.getpid():016}", wants=(0, 2, 0))
    for _ in range(count):
        begun = time.perf_counter()
        store.exchange(WHERE, request, patience=1.0)
        took.append(time.perf_counter() - begun)
        time.sleep(PAUSE)
    sent.put(took)


def measure(kind: str, count: int) -> tuple[float, float]:
    """Let four processes ask; how long did an exchange take, and the slowest in a hundred?"""
    with tempfile.TemporaryDirectory() as folder:
        path, sent = str(Path(folder, "limiter")), SPAWN.Queue()
        STORES[kind](path).exchange(WHERE, Request(member="first", wants=(0, 1, 0)), patience=1.0)
        crowd = [
            SPAWN.Process(target=ask, args=(kind, path, count, sent)) for _ in range(PROCESSES)
        ]
        for one in crowd:
            one.start()
        took = sorted(one for _ in crowd for one in sent.get())
        for one in crowd:
            one.join()
    return 1000 * took[len(took) // 2], 1000 * took[int(len(took) * 0.99)]


def main(*, quick: bool) -> None:
    """Let the two stores take turns."""
    found: dict[str, list[tuple[float, float]]] = {"file": [], "sqlite": []}
    for _ in range(3 if quick else 9):
        for kind, rounds in found.items():
            rounds.append(measure(kind, 200 if quick else 500))
    for at, name in enumerate(("request", "slow_word")):
        file, sqlite = ([pair[at] for pair in found[kind]] for kind in ("file", "sqlite"))
        harness.report(
            f"{name}_with_a_file", file, unit="ms", yardstick="50 permits/s", at_most=20.0
        )
        ratio = harness.ratios(file, sqlite)
        harness.report(f"{name}_with_a_file_to_sqlite", ratio, yardstick="sqlite", at_most=1.2)


if __name__ == "__main__":
    main(quick=harness.quick(__doc__))
