"""A durable database: one thread writes, whatever came meanwhile is committed together.

The ledger and the receiver keep their tables in such a file. A group commit lets thousands of
small writes a second share a few disk syncs, and keeps every sync off the event loops. Any number
of processes, threads and loops may use one file; a process lets go of it around a fork, because
SQLite's locks do not survive one.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import sqlite3
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

from attrs import define, field

from memories_async._database.file import (
    DatabaseFailed,
    Schema,
    begin,
    failed,
    opened,
    opened_to_read,
)
from memories_async._database.group_commit import Job, Result, Work, attempt, next_group, tell

T = TypeVar("T")


@define(eq=False)
class Database:
    """One SQLite file, opened at first use and again after `close`.

    `write` and `read` are for coroutines; `write_now` and `read_now` block, for other threads.
    All raise `DatabaseFailed` where the file is full, read-only, damaged, remote or too new.
    """

    path: Path = field(converter=Path)
    _schemas: tuple[Schema, ...] = ()
    _jobs: SimpleQueue[Job | None] = field(factory=SimpleQueue[Job | None], init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _starting: threading.Lock = field(factory=threading.Lock, init=False)
    _writing: threading.Lock = field(factory=threading.Lock, init=False)
    _reading: threading.Lock = field(factory=threading.Lock, init=False)
    _writer: sqlite3.Connection | None = field(default=None, init=False)
    _reader: sqlite3.Connection | None = field(default=None, init=False)
    _file: tuple[int, int] | None = field(default=None, init=False)
    _openings: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        _live.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Database, (self.path, self._schemas)

    def include(self, schema: Schema) -> None:
        """Keep the tables of another part in the same file."""
        with self._writing:
            if schema not in self._schemas:
                self._schemas = (*self._schemas, schema)
                self._let_go_of_writer()

    async def write(self, work: Work[T]) -> T:
        """Run *work* in a transaction and return its value once that is on the disk.

        What *work* raises undoes *work* alone and is raised here. A write that was begun happens,
        also when the wait for it is cancelled.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._enqueue(Job(work, future, loop))
        return await future

    def write_now(self, work: Work[T]) -> T:
        """Do as `write` does, for a thread that may block."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._enqueue(Job(work, future, None))
        return future.result()

    async def read(self, work: Work[T]) -> T:
        """Run *work*, which only reads, beside the writer and off the loop.

        Reads take turns: page through what is long.
        """
        return await asyncio.to_thread(self.read_now, work)

    def read_now(self, work: Work[T]) -> T:
        """Do as `read` does, in this thread."""
        with self._reading:
            try:
                return work(self._read_connection())
            except sqlite3.Error as error:
                self._let_go_of_reader()
                raise failed(self.path, error) from None

    def version(self) -> tuple[int, int]:
        """Return a value that changes with every commit, whichever process made it. Cheap."""

        def look(connection: sqlite3.Connection) -> tuple[int, int]:
            return self._openings, connection.execute("PRAGMA data_version").fetchone()[0]

        return self.read_now(look)

    def close(self) -> None:
        """Finish what was begun and let go of the file; may be called twice."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
                self._jobs = SimpleQueue()  # a write from now on starts another thread
        if thread is not None:
            thread.join()
        with self._reading, self._writing:
            self._let_go_of_reader()
            self._let_go_of_writer()

    def _enqueue(self, job: Job) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve,
                    args=(self._jobs,),
                    name="memories_async database",
                    daemon=True,
                )
                self._thread.start()
            self._jobs.put(job)

    def _serve(self, jobs: SimpleQueue[Job | None]) -> None:
        going_on = True
        while going_on:
            group, going_on = next_group(jobs)
            if group:
                tell(self._commit(group))

    def _commit(self, group: list[Job]) -> list[Result]:
        with self._writing:
            try:
                connection = self._write_connection()
                begin(connection)
                results = [attempt(connection, job) for job in group]
                connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001  # everybody in the group must hear of it
                self._let_go_of_writer()
                return [Result(job, error=failed(self.path, error)) for job in group]
        return [_explained(self.path, result) for result in results]

    def _write_connection(self) -> sqlite3.Connection:
        if self._writer is not None and _identity(self.path) != self._file:
            # Commits would go to a file that nobody finds again.
            raise DatabaseFailed(f"{self.path}: the file was removed or replaced while in use")
        if self._writer is None:
            self._writer = opened(self.path, self._schemas)
            self._file = _identity(self.path)
        return self._writer

    def _read_connection(self) -> sqlite3.Connection:
        if self._reader is None:
            if self._writer is None:
                self.write_now(_nothing)  # creates the file and its tables
            self._reader = opened_to_read(self.path)
            self._openings += 1
        return self._reader

    def _let_go_of_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _let_go_of_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def hold(self) -> None:
        """Stand still with the file closed: the process is about to fork."""
        # In this order: a reader may be waiting for the thread to open the file.
        for lock in (self._reading, self._starting, self._writing):
            lock.acquire()
        self._let_go_of_reader()
        self._let_go_of_writer()

    def let_go_on(self) -> None:
        """Go on after `hold`."""
        for lock in (self._writing, self._starting, self._reading):
            lock.release()

    def start_afresh(self) -> None:
        """Go on after `hold`, in the child."""
        # The thread, and those who wait for what is queued, stayed in the parent.
        self._thread, self._jobs = None, SimpleQueue()
        self.let_go_on()


def _nothing(_: sqlite3.Connection) -> None:
    pass


def _explained(path: Path, result: Result) -> Result:
    error = result.error
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
        return Result(result.job, error=failed(path, error))
    return result


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


_live: WeakSet[Database] = WeakSet()
_held: list[Database] = []


def _hold_all() -> None:
    _held.extend(_live)
    for database in _held:
        database.hold()


def _let_all_go_on() -> None:
    while _held:
        _held.pop().let_go_on()


def _start_afresh() -> None:
    while _held:
        _held.pop().start_afresh()


def _close_all() -> None:
    for database in [*_live]:
        database.close()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(
        before=_hold_all, after_in_parent=_let_all_go_on, after_in_child=_start_afresh
    )
atexit.register(_close_all)
