"""Group commit: take what has queued up, try each job on its own, wake who waits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""What to do inside a transaction: quick, never waiting for anything else, never committing."""

GROUP = 256
"""Writes that share one commit at most."""


@frozen(eq=False)
class Job:
    """A piece of work, and where to tell how it went (no loop: a thread waits)."""

    work: Work[Any]
    future: asyncio.Future[Any] | concurrent.futures.Future[Any]
    loop: asyncio.AbstractEventLoop | None


@frozen(eq=False)
class Result:
    """How a job went."""

    job: Job
    value: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Tell the one who waits, if anybody still does."""
        future = self.job.future
        if future.done():  # nobody waits any more; what was written stays written
            return
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.value)


def next_group(jobs: SimpleQueue[Job | None]) -> tuple[list[Job], bool]:
    """Wait for a job and take all that have queued up meanwhile; False once told to stop."""
    job = jobs.get()
    group: list[Job] = []
    while job is not None:
        group.append(job)
        if len(group) == GROUP:
            return group, True
        try:
            job = jobs.get_nowait()
        except Empty:
            return group, True
    return group, False


def attempt(connection: sqlite3.Connection, job: Job) -> Result:
    """Do one job inside the group's transaction; a failure undoes that job alone."""
    connection.execute("SAVEPOINT job")
    try:
        result = Result(job, job.work(connection))
    except Exception as error:  # it is raised where the job came from
        if not connection.in_transaction:  # SQLite gave up on the whole group
            raise
        connection.execute("ROLLBACK TO job")
        result = Result(job, error=error)
    connection.execute("RELEASE job")
    return result


def tell(results: Iterable[Result]) -> None:
    """Wake those who wait, each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Result]] = {}
    for result in results:
        if result.job.loop is None:
            result.tell()
        else:
            by_loop.setdefault(result.job.loop, []).append(result)
    for loop, its_results in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell_all, its_results)
        except RuntimeError:  # the loop was closed: nobody waits there any more
            continue


def _tell_all(results: list[Result]) -> None:
    for result in results:
        result.tell()
