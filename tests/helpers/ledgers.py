"""Helpers for tests of the ledger and of batches: rows on the disk, waits."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

WRONG = {"code": "0001", "msg": "The parameter is wrong.", "success": False, "failed": True}


def states(ledger) -> list[str]:
    """The states on the disk, read through another connection."""
    return [row[0] for row in _select(ledger, "state")]


def rows(ledger) -> list[tuple]:
    """State, owner and attempts on the disk, read through another connection."""
    return _select(ledger, "state, owner, attempts")


def _select(ledger, columns) -> list[tuple]:
    statement = f"SELECT {columns} FROM entries ORDER BY id"
    if ledger.path is None:
        return ledger.database.read_now(lambda db: db.execute(statement).fetchall())
    with closing(sqlite3.connect(ledger.path)) as connection:
        return connection.execute(statement).fetchall()


def owner_name(store) -> str:
    """The name under which a process owns entries."""
    return store.write_now(lambda moves: moves.lock.acquire())


def end_process(store) -> None:
    """End like a killed process: its lock is dropped, or its lease runs out; the rows stay."""
    name = getattr(store.lock, "name", "")
    store.lock.abandon()
    if name:
        expire = "UPDATE owners SET expires_at = clock_timestamp() WHERE name = ?"
        store.database.write_now(lambda db: db.execute(expire, (name,)))


async def until(condition) -> None:
    """Poll until *condition* is true."""
    while not condition():  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.001)


async def wait_for_requests(server, requests=1) -> None:
    """Wait until *server* has seen so many requests."""
    await until(lambda: server.requests >= requests)


async def cancelled(task) -> None:
    """Cancel *task* and check that it ends as cancelled."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
