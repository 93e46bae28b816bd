"""What tests of the ledger and of batches see and wait for."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

WRONG = {"code": "0001", "msg": "The parameter is wrong.", "success": False, "failed": True}


def states(ledger) -> list[str]:
    """The states on the disk, seen by somebody else."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        return [row[0] for row in connection.execute("SELECT state FROM entries ORDER BY id")]


def rows(ledger) -> list[tuple]:
    """State, owner and attempts on the disk, seen by somebody else."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        statement = "SELECT state, owner, attempts FROM entries ORDER BY id"
        return connection.execute(statement).fetchall()


async def until(condition) -> None:
    """Wait for *condition*, which nothing announces."""
    while not condition():  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.001)


async def settle_down(server, requests=1) -> None:
    """Wait until *server* has seen so many requests."""
    await until(lambda: server.requests >= requests)


async def cancelled(task) -> None:
    """Cancel *task* and see that the cancellation goes on."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
