"""The file of a database: private, in WAL mode, on a local disk, with versioned schemas."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from attrs import frozen

from memories_async.errors import MemoriesError

PATIENCE = 30.0
"""Seconds that a writer waits for another process's transaction."""
_PAUSE = 0.001
_MARK = 0x6D656D61
# WAL needs memory shared by all who open the file, which no network file system gives.
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p"}
_ADVICE = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file or its folder is read-only",
    "SQLITE_CANTOPEN": "the file cannot be open_writer or created",
    "SQLITE_NOTADB": "the file is not a database; it was left as it is, name another one",
    "SQLITE_CORRUPT": "the file is damaged; it was left as it is: copy it, then try "
    "`sqlite3 FILE .recover`",
    "SQLITE_BUSY": f"another process has kept it locked for {PATIENCE:.0f} s",
}


class DatabaseFailed(MemoriesError):
    """The file of a ledger or receiver cannot be read or written; nothing was recorded."""


@frozen
class Schema:
    """The tables of one part of the library; several parts may share a file."""

    name: str
    steps: tuple[tuple[str | Callable[[sqlite3.Connection], None], ...], ...]
    """The statements, and functions, of each upgrade: from version 0 to 1, from 1 to 2. A released step
    never changes."""


def explain(path: Path, error: Exception) -> DatabaseFailed:
    """Translate an error of SQLite into one that says what is wrong and what to do."""
    if isinstance(error, DatabaseFailed):
        return DatabaseFailed(error.message)
    name = getattr(error, "sqlite_errorname", "")
    primary = "_".join(name.split("_")[:2])
    return DatabaseFailed(f"{path}: {_ADVICE.get(primary, str(error))}")


def open_writer(path: Path, schemas: tuple[Schema, ...]) -> sqlite3.Connection:
    """Open *path* for writing; create it with mode 0600 and upgrade its schemas as needed."""
    _refuse_remote(path)
    # SQLite gives its two side files the mode of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = _connect(path)
    try:
        _execute_patiently(connection, "PRAGMA journal_mode=WAL")
        # A commit lost in a power cut would mean a call paid twice or a caption lost.
        connection.execute("PRAGMA synchronous=FULL")
        begin(connection)
        _mark_file(connection, path)
        for schema in schemas:
            _upgrade(connection, schema, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only."""
    connection = _connect(path)
    connection.execute(f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}")
    connection.execute("PRAGMA query_only=ON")
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Begin a write transaction, waiting for other processes' to end."""
    _execute_patiently(connection, "BEGIN IMMEDIATE")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _execute_patiently(connection: sqlite3.Connection, statement: str) -> None:
    # SQLite's own back-off grows to 100 ms; a busy process would win every time.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _mark_file(connection: sqlite3.Connection, path: Path) -> None:
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    if mark == _MARK:
        return
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DatabaseFailed(f"{path}: the file is another program's database; name another one")
    connection.execute(f"PRAGMA application_id={_MARK}")
    connection.execute("CREATE TABLE schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL)")


def _upgrade(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    found = connection.execute("SELECT version FROM schemas WHERE name = ?", (schema.name,))
    version: int = (found.fetchone() or (0,))[0]
    if version > len(schema.steps):
        raise DatabaseFailed(
            f"{path}: its {schema.name} has version {version}, written by a newer memories_async; "
            f"this one knows {len(schema.steps)}: upgrade, or name another file"
        )
    if 0 < version < len(schema.steps):
        _back_up(path, f"{schema.name}-{version}")
    for step in schema.steps[version:]:
        for statement in step:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                statement(connection)
    connection.execute(
        "INSERT OR REPLACE INTO schemas VALUES (?, ?)", (schema.name, len(schema.steps))
    )


def _back_up(path: Path, version: str) -> None:
    copy = path.with_name(f"{path.name}.{version}.bak")
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(_connect(path)) as source, closing(_connect(copy)) as target:
        source.backup(target)


def _refuse_remote(path: Path) -> None:
    inside = path.resolve().parent
    kinds = dict(sorted(_read_mounts(), key=lambda mount: len(mount[0].parts)))
    found = [kind for point, kind in kinds.items() if inside.is_relative_to(point)]
    kind = found[-1] if found else ""
    if kind in _REMOTE or kind.startswith("fuse.sshfs"):
        raise DatabaseFailed(
            f"{path}: {kind} is a network file system; name a file on a local disk"
        )


def _read_mounts(table: Path = Path("/proc/self/mountinfo")) -> Iterator[tuple[Path, str]]:
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = mount.split()[4].encode("latin-1", "replace").decode("unicode_escape")
        yield Path(point), rest.split()[0]
