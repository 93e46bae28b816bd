"""Helpers for tests of the ledger and of batches: rows on the disk, waits."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

WRONG = {"code": "0001", "msg": "The parameter is wrong.", "success": False, "failed": True}


def states(ledger) -> list[str]:
    """The states on the disk, read through another connection."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        return [row[0] for row in connection.execute("SELECT state FROM entries ORDER BY id")]


def rows(ledger) -> list[tuple]:
    """State, owner and attempts on the disk, read through another connection."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        statement = "SELECT state, owner, attempts FROM entries ORDER BY id"
        return connection.execute(statement).fetchall()


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
