"""A SQLite file with one writer thread for each process and group commit.

The ledger and the receiver keep their tables in such a file. Any number of processes, threads and loops
may use one file.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from memories_async._database.database import Database
from memories_async._database.file import (
    DatabaseFailed,
    begin,
    explain,
    open_reader,
    open_writer,
    read_file_id,
    resolve_path,
)
from memories_async._database.group_commit import Connection, Work, WriteJob, WriteResult, run_group

T = TypeVar("T")


@define(eq=False)
class SqliteDatabase(Database):
    """One SQLite file. Its methods fail where the disk is full or the file is read-only, damaged, on
    a network file system or of a newer version.
    """

    path: Path = field(converter=resolve_path)
    _file_id: bytes | None = None
    """The id of the only file that may be opened, once the database was pickled."""
    _writer: sqlite3.Connection | None = field(default=None, init=False)
    _reader: sqlite3.Connection | None = field(default=None, init=False)
    _file: tuple[int, int] | None = field(default=None, init=False)
    _openings: int = field(default=0, init=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(SqliteDatabase, schemas=self._schemas), (self.path, self.file_id())

    def __str__(self) -> str:
        return str(self.path)

    def file_id(self) -> bytes:
        """Return the id that the file was given when it was created; create it if need be."""
        return self.read_now(read_file_id)

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

        def look(connection: Connection) -> tuple[int, int]:
            return self._openings, connection.execute("PRAGMA data_version").fetchone()[0]

        return self.read_now(look)

    def close(self) -> None:
        """Commit what is queued and close the file; may be called twice."""
        super().close()
        with self._writing:
            self._file = None

    def _commit(self, group: list[WriteJob]) -> list[WriteResult]:
        with self._writing:
            try:
                connection = self._write_connection()
                results = run_group(connection, group, partial(begin, connection))
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

    def _disconnect(self) -> None:
        self._close_reader()
        self._close_writer()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
