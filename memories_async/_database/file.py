"""The file of a database: private, in WAL mode, on a local disk, with versioned schemas."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from memories_async._files import is_planted, resolve_links
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
    "SQLITE_CANTOPEN": "the file cannot be opened or created",
    "SQLITE_NOTADB": "the file is not a database; it was left as it is, name another one",
    "SQLITE_CORRUPT": "the file is damaged; it was left as it is: copy it, then try "
    "`sqlite3 FILE .recover`",
    "SQLITE_BUSY": f"another process has kept it locked for {PATIENCE:.0f} s",
}

_NOT_WRITABLE = {"SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR"} | {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, getattr(errno, "EDQUOT", -1))
}


class DatabaseFailed(MemoriesError):
    """The file or server of a ledger or receiver cannot be read or written; nothing was recorded."""


class NotWritable(DatabaseFailed):
    """The file, its folder or its disk takes no writes; it may still be read."""


@frozen
class Schema:
    """The tables of one part of the library; several parts may share a file."""

    name: str
    steps: tuple[tuple[str | Callable[[sqlite3.Connection], None], ...], ...]
    """The statements, and functions, of each upgrade: from version 0 to 1, from 1 to 2. A released step
    never changes."""
    postgres_steps: tuple[tuple[str, ...], ...] = ()
    """The same for PostgreSQL."""


def explain(path: Path, error: Exception) -> DatabaseFailed:
    """Translate an error of SQLite into one that says what is wrong and what to do."""
    if isinstance(error, DatabaseFailed):
        return type(error)(error.message)
    name = getattr(error, "sqlite_errorname", "")
    primary = "_".join(name.split("_")[:2])
    is_closed = primary in _NOT_WRITABLE or getattr(error, "errno", None) in _NOT_WRITABLE
    kind = NotWritable if is_closed else DatabaseFailed
    return kind(f"{path}: {_ADVICE.get(primary, str(error))}")


def resolve_path(path: str | os.PathLike[str]) -> Path:
    """Follow the symbolic links in *path*, so that all users of a file name it alike.

    Raises `DatabaseFailed` for a link that another user placed in a folder open to everybody.
    """
    try:
        return resolve_links(path)
    except PermissionError as error:
        raise DatabaseFailed(str(error)) from None


def create_private(path: Path, flags: int = 0) -> int:
    """Open *path* for reading and writing, created with mode 0600 whatever the umask is."""
    flags |= os.O_RDWR | os.O_CREAT
    if sys.platform != "win32":
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    found = os.fstat(handle)
    wrong = ""
    if is_planted(path, found.st_uid):
        wrong = "another user's file in a folder that everybody may write to"
    elif found.st_nlink > 1:
        # SQLite's log and the process locks go by the name.
        wrong = "the file has several names (hard links); processes would not see each other"
    if wrong:
        os.close(handle)
        raise DatabaseFailed(f"{path}: {wrong}")
    if sys.platform != "win32" and found.st_size == 0 and found.st_uid == os.geteuid():
        os.fchmod(handle, 0o600)
    return handle


def open_writer(
    path: Path, schemas: tuple[Schema, ...], *, file_id: bytes | None = None
) -> sqlite3.Connection:
    """Open *path* for writing; create it with mode 0600 and upgrade its schemas as needed.

    With a *file_id* it opens that file and no other, and creates none.
    """
    _refuse_remote(path)
    if file_id is not None and not path.exists():
        raise DatabaseFailed(
            f"{path}: no such file on this machine. The ledger or receiver was pickled elsewhere; a new"
            " file would not know what was paid: share the first one"
        )
    # SQLite gives its two side files the mode of the file itself.
    os.close(create_private(path))
    connection = _connect(path)
    try:
        _execute_patiently(connection, "PRAGMA journal_mode=WAL")
        # A commit lost in a power cut would mean a call paid twice or a caption lost.
        connection.execute("PRAGMA synchronous=FULL")
        begin(connection)
        _mark_file(connection, path, file_id)
        for schema in schemas:
            _upgrade(connection, schema, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def copy_file(path: Path, folder: Path) -> Path:
    """Copy a database that takes no writes into *folder*, with what its log holds."""
    copy = folder / path.name
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        closing(_connect(copy)) as target,
    ):
        source.backup(target)
        return copy
    # Without write access SQLite cannot open a log that nobody else has open.
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


def read_file_id(connection: Any) -> bytes:
    """Return the random id that the file was given when it was created."""
    found: tuple[bytes] = connection.execute("SELECT id FROM file").fetchone()
    return found[0]


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


def _mark_file(connection: sqlite3.Connection, path: Path, file_id: bytes | None) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if connection.execute("PRAGMA application_id").fetchone()[0] != _MARK:
        if tables:
            raise DatabaseFailed(
                f"{path}: the file is another program's database; name another one"
            )
        connection.execute(f"PRAGMA application_id={_MARK}")
        connection.execute("CREATE TABLE schemas (name TEXT PRIMARY KEY, version INTEGER NOT NULL)")
    if "file" not in tables:
        connection.execute("CREATE TABLE file (id BLOB NOT NULL)")
        connection.execute("INSERT INTO file VALUES (randomblob(16))")
    if file_id not in {None, read_file_id(connection)}:
        raise DatabaseFailed(
            f"{path}: another file than the one that the ledger or receiver was pickled with; it would"
            " not know what was paid: share the first one"
        )


def _upgrade(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    found = connection.execute("SELECT version FROM schemas WHERE name = ?", (schema.name,))
    version: int = (found.fetchone() or (0,))[0]
    if version > len(schema.steps):
        raise DatabaseFailed(
            f"{path}: its {schema.name} has version {version}, written by a newer memories_async; "
            f"this one knows {len(schema.steps)}: upgrade, or name another file"
        )
    if 0 < version < len(schema.steps):
        copy = path.with_name(f"{path.name}.{schema.name}-{version}.bak")
        os.close(create_private(copy))
        with closing(_connect(path)) as source, closing(_connect(copy)) as target:
            source.backup(target)
    for step in schema.steps[version:]:
        for statement in step:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                statement(connection)
    connection.execute(
        "INSERT OR REPLACE INTO schemas VALUES (?, ?)", (schema.name, len(schema.steps))
    )


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
