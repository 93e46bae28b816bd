"""A SQLite file with one writer thread for each process and group commit.

The ledger and the receiver keep their tables in such a file. Group commit lets thousands of small
writes a second share a few disk syncs and keeps every sync off the event loops. Any number of
processes, threads and loops may use one file. The connections are closed around a fork, because
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
    explain,
    open_reader,
    open_writer,
    read_file_id,
    resolve_path,
)
from memories_async._database.group_commit import (
    Work,
    WriteJob,
    WriteResult,
    deliver,
    run_job,
    take_group,
)

T = TypeVar("T")


@define(eq=False)
class Database:
    """One SQLite file, opened at first use and again after `close`.

    `write` and `read` are coroutines; `write_now` and `read_now` block the calling thread. All
    raise `DatabaseFailed` where the disk is full or the file is read-only, damaged, on a network
    file system or of a newer version.
    """

    path: Path = field(converter=resolve_path)
    _schemas: tuple[Schema, ...] = ()
    _file_id: bytes | None = None
    """The id of the only file that may be opened, once the database was pickled."""
    _jobs: SimpleQueue[WriteJob | None] = field(factory=SimpleQueue[WriteJob | None], init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _starting: threading.Lock = field(factory=threading.Lock, init=False)
    _writing: threading.Lock = field(factory=threading.Lock, init=False)
    _reading: threading.Lock = field(factory=threading.Lock, init=False)
    _writer: sqlite3.Connection | None = field(default=None, init=False)
    _reader: sqlite3.Connection | None = field(default=None, init=False)
    _file: tuple[int, int] | None = field(default=None, init=False)
    _openings: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        _open_databases.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Database, (self.path, self._schemas, self.file_id())

    def file_id(self) -> bytes:
        """Return the id that the file was given when it was created; create it if need be."""
        return self.read_now(read_file_id)

    def include(self, schema: Schema) -> None:
        """Add the tables of another part of the library to the file."""
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

    def read_now(self, work: Work[T]) -> T:
        """Do as `read` does, blocking this thread."""
        with self._reading:
            try:
                return work(self._read_connection())
            except sqlite3.Error as error:
                self._close_reader()
                raise explain(self.path, error) from None

    def version(self) -> tuple[int, int]:
        """Return a value that changes with every commit of any process. Cheap."""

        def look(connection: sqlite3.Connection) -> tuple[int, int]:
            return self._openings, connection.execute("PRAGMA data_version").fetchone()[0]

        return self.read_now(look)

    def close(self) -> None:
        """Commit what is queued and close the file; may be called twice."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
                self._jobs = SimpleQueue()  # a write from now on starts another thread
        if thread is not None:
            thread.join()
        with self._reading, self._writing:
            self._close_reader()
            self._close_writer()
            self._file = None

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
                    raise DatabaseFailed(f"{self.path}: {error}") from None
                self._thread = thread
            self._jobs.put(job)

    def _serve(self, jobs: SimpleQueue[WriteJob | None]) -> None:
        going_on = True
        while going_on:
            group, going_on = take_group(jobs)
            if group:
                deliver(self._commit(group))

    def _commit(self, group: list[WriteJob]) -> list[WriteResult]:
        with self._writing:
            try:
                connection = self._write_connection()
                begin(connection)
                results = [run_job(connection, job) for job in group]
                connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001  # every waiter of the group gets it
                self._close_writer()
                return [WriteResult(job, error=explain(self.path, error)) for job in group]
        return [
            WriteResult(result.job, error=explain(self.path, result.error))
            if isinstance(result.error, sqlite3.Error)
            and not isinstance(result.error, sqlite3.IntegrityError)
            else result
            for result in results
        ]

    def _write_connection(self) -> sqlite3.Connection:
        if self._file is not None and _identity(self.path) != self._file:
            # Commits would go to a file that no other process can open, or to a new, empty one.
            raise DatabaseFailed(f"{self.path}: the file was removed or replaced while in use")
        if self._writer is None:
            self._writer = open_writer(self.path, self._schemas, file_id=self._file_id)
            self._file = _identity(self.path)
        return self._writer

    def _read_connection(self) -> sqlite3.Connection:
        if self._reader is None:
            if self._writer is None:
                self.write_now(lambda _: None)  # creates the file and its tables
            self._reader = open_reader(self.path)
            self._openings += 1
        return self._reader

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def pause(self) -> None:
        """Close the file and block all use of it: the process is about to fork."""
        # In this order: a reader may be waiting for the thread to open the file.
        for lock in (self._reading, self._starting, self._writing):
            lock.acquire()
        self._close_reader()
        self._close_writer()

    def resume(self) -> None:
        """End a `pause`."""
        for lock in (self._writing, self._starting, self._reading):
            lock.release()

    def reset_in_child(self) -> None:
        """End a `pause` in the forked child."""
        # The writer thread and the waiters of queued jobs exist in the parent only.
        self._thread, self._jobs = None, SimpleQueue()
        self.resume()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


_open_databases: WeakSet[Database] = WeakSet()
_paused: list[Database] = []


def pause_all() -> None:
    """Close every open file before a fork."""
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
    """Close every open file, at exit."""
    for database in [*_open_databases]:
        database.close()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(
        before=pause_all, after_in_parent=resume_all, after_in_child=reset_all_in_child
    )
atexit.register(close_all)
