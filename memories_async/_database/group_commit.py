"""Group commit: queued writes share one transaction; each has a future of its own.

Thousands of small writes a second share a few disk syncs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias, TypeVar

from attrs import frozen

T = TypeVar("T")


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row; None after the last one."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows that are left."""
        ...


class Connection(Protocol):
    """A connection to SQLite or PostgreSQL: statements are in the SQL that both understand."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        """Execute one statement, whose parameters are question marks."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...


Work: TypeAlias = Callable[[Connection], T]
"""A function that runs inside a transaction: it must be quick and must not wait or commit. It may be
run again, where its transaction was rolled back."""

GROUP = 256
"""The largest number of writes in one commit."""


@frozen(eq=False)
class WriteJob:
    """A queued write, and the future that gets its result; `loop` is None where a thread waits."""

    work: Work[Any]
    future: asyncio.Future[Any] | concurrent.futures.Future[Any]
    loop: asyncio.AbstractEventLoop | None


@frozen(eq=False)
class WriteResult:
    """The value or the error of a job."""

    job: WriteJob
    value: Any = None
    error: BaseException | None = None

    def deliver(self) -> None:
        """Set the future, unless its waiter was cancelled."""
        future = self.job.future
        if future.done():  # what was written stays written
            return
        if self.error is not None:
            future.set_exception(self.error)
        else:
            future.set_result(self.value)


def take_group(jobs: SimpleQueue[WriteJob | None]) -> tuple[list[WriteJob], bool]:
    """Wait for a job and take all that are queued; False once the queue holds the end mark, None."""
    job = jobs.get()
    group: list[WriteJob] = []
    while job is not None:
        group.append(job)
        if len(group) == GROUP:
            return group, True
        try:
            job = jobs.get_nowait()
        except Empty:
            return group, True
    return group, False


def run_group(
    connection: Connection, group: Sequence[WriteJob], begin: Callable[[], None]
) -> list[WriteResult]:
    """*begin* a transaction and run all jobs in it, up to its commit.

    A job that fails is rolled back alone: the group then runs again, each job in a savepoint.
    """
    begin()
    try:
        return [WriteResult(job, job.work(connection)) for job in group]
    except Exception:  # rare, and a savepoint costs more than most jobs
        if not connection.in_transaction:  # the whole group was rolled back
            raise
        connection.execute("ROLLBACK")
    begin()
    return [_run_job(connection, job) for job in group]


def _run_job(connection: Connection, job: WriteJob) -> WriteResult:
    connection.execute("SAVEPOINT job")
    try:
        result = WriteResult(job, job.work(connection))
    except Exception as error:  # raised where the job came from
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO job")
        result = WriteResult(job, error=error)
    connection.execute("RELEASE job")
    return result


def deliver(results: Iterable[WriteResult]) -> None:
    """Set the futures of all jobs, with one callback for each event loop."""

    def deliver_all(results: list[WriteResult]) -> None:
        for result in results:
            result.deliver()

    by_loop: dict[asyncio.AbstractEventLoop, list[WriteResult]] = {}
    for result in results:
        if result.job.loop is None:
            result.deliver()
        else:
            by_loop.setdefault(result.job.loop, []).append(result)
    for loop, its_results in by_loop.items():
        try:
            loop.call_soon_threadsafe(deliver_all, its_results)
        except RuntimeError:  # the loop was closed: nobody waits there
            continue
