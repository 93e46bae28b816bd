"""What a ledger or a receiver keeps its tables in: one writer thread, concurrent reads, safe at a fork.

One thread of each process writes, so that no disk sync runs on an event loop. The connections are closed
around a fork, because neither SQLite's locks nor a session of PostgreSQL survive one.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import sys
import threading
from abc import ABC, abstractmethod
from queue import SimpleQueue
from typing import TypeVar
from weakref import WeakSet

from attrs import define, field

from memories_async._database.file import DatabaseFailed, Schema
from memories_async._database.group_commit import Work, WriteJob, WriteResult, deliver, take_group

T = TypeVar("T")

POLL = 0.2
"""Seconds between two looks at what another process is about to change."""


@define(eq=False)
class Database(ABC):
    """Tables on a disk, written by one thread of this process; opened at first use and after `close`.

    `write` and `read` are coroutines; `write_now` and `read_now` block the calling thread. All
    raise `DatabaseFailed` where nothing can be read or written.
    """

    _schemas: tuple[Schema, ...] = field(default=(), kw_only=True, alias="schemas")
    _jobs: SimpleQueue[WriteJob | None] = field(factory=SimpleQueue[WriteJob | None], init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _starting: threading.Lock = field(factory=threading.Lock, init=False)
    _writing: threading.Lock = field(factory=threading.Lock, init=False)
    _reading: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        _open_databases.add(self)

    def include(self, schema: Schema) -> None:
        """Add the tables of another part of the library."""
        with self._writing:
            if schema not in self._schemas:
                self._schemas = (*self._schemas, schema)
                self._close_writer()

    async def write(self, work: Work[T]) -> T:
        """Run *work* in a transaction and return its value once the transaction is on the disk.

        An exception of *work* rolls back *work* alone and is raised here. Cancelling the wait does
        not cancel the write.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._enqueue(WriteJob(work, future, loop))
        return await future

    def write_now(self, work: Work[T]) -> T:
        """Do as `write` does, blocking this thread."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._enqueue(WriteJob(work, future, None))
        return future.result()

    async def read(self, work: Work[T]) -> T:
        """Run *work*, which only reads, in a thread, concurrently with the writer.

        Reads run one after the other: a long one should be split into pages.
        """
        return await asyncio.to_thread(self.read_now, work)

    @abstractmethod
    def read_now(self, work: Work[T]) -> T:
        """Do as `read` does, blocking this thread."""

    @abstractmethod
    def version(self) -> object:
        """Return a value that changes with every commit of any process. Cheap."""

    def mark(self) -> int | None:
        """Return how many changes of other processes were heard of; None where none can be."""
        return None

    async def wait_for(self, name: str, since: int | None) -> None:  # noqa: ARG002  # for PostgreSQL
        """Wait until a look at *name* is worthwhile; *since* is the `mark` before the last look."""
        await asyncio.sleep(POLL)

    def close(self) -> None:
        """Commit what is queued and close the connections; may be called twice."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
                self._jobs = SimpleQueue()  # a write from now on starts another thread
        if thread is not None:
            thread.join()
        with self._reading, self._writing:
            self._disconnect()

    @abstractmethod
    def __str__(self) -> str:
        """Name the place of the tables, for error messages."""

    @abstractmethod
    def _commit(self, group: list[WriteJob]) -> list[WriteResult]:
        """Run the jobs of *group* in one transaction. The writer thread calls it."""

    @abstractmethod
    def _close_writer(self) -> None:
        """Close the connection that writes; the next write opens another."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connections."""

    def _enqueue(self, job: WriteJob) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._serve,
                    args=(self._jobs,),
                    name="memories_async database",
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError as error:  # too many threads, or the interpreter is ending
                    raise DatabaseFailed(f"{self}: {error}") from None
                self._thread = thread
            self._jobs.put(job)

    def _serve(self, jobs: SimpleQueue[WriteJob | None]) -> None:
        going_on = True
        while going_on:
            group, going_on = take_group(jobs)
            if group:
                deliver(self._commit(group))

    def pause(self) -> None:
        """Close the connections and block all use of them: the process is about to fork."""
        # In this order: a reader may be waiting for the thread to open the database.
        for lock in (self._reading, self._starting, self._writing):
            lock.acquire()
        self._disconnect()

    def resume(self) -> None:
        """End a `pause`."""
        for lock in (self._writing, self._starting, self._reading):
            lock.release()

    def reset_in_child(self) -> None:
        """End a `pause` in the forked child."""
        # The writer thread and the waiters of queued jobs exist in the parent only.
        self._thread, self._jobs = None, SimpleQueue()
        self.resume()


_open_databases: WeakSet[Database] = WeakSet()
_paused: list[Database] = []


def pause_all() -> None:
    """Close every database before a fork."""
    _paused.extend(_open_databases)
    for database in _paused:
        database.pause()


def resume_all() -> None:
    """End the pause in the parent."""
    while _paused:
        _paused.pop().resume()


def reset_all_in_child() -> None:
    """End the pause in the child."""
    while _paused:
        _paused.pop().reset_in_child()


def close_all() -> None:
    """Close every database, at exit."""
    for database in [*_open_databases]:
        database.close()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(
        before=pause_all, after_in_parent=resume_all, after_in_child=reset_all_in_child
    )
atexit.register(close_all)
