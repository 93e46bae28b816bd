"""The default store: two tables in a SQLite file that any number of processes share."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Self

from attrs import define, field

from memories_async._database.database import Database
from memories_async._database.file import Schema
from memories_async.receiver._records import Arrival, Record, Ticket, Verdict, Wanted
from memories_async.receiver._tokens import new_secret

SCHEMA = Schema(
    "receiver",
    (
        (
            "CREATE TABLE callback_secret (one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB)",
            """
            CREATE TABLE callbacks (
                id BLOB PRIMARY KEY, call TEXT NOT NULL, key TEXT, issued_at REAL NOT NULL,
                task_id TEXT, told INTEGER NOT NULL DEFAULT 0
            )
            """,
            "CREATE INDEX callbacks_task ON callbacks (task_id) WHERE task_id IS NOT NULL",
            "CREATE INDEX callbacks_owed ON callbacks (id) WHERE key IS NOT NULL AND NOT told",
            # seq counts on for ever, so that a reader sees what came since it last looked.
            """
            CREATE TABLE deliveries (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, task_id TEXT,
                final INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL
            )
            """,
            "CREATE INDEX deliveries_id ON deliveries (id)",
            "CREATE INDEX deliveries_task ON deliveries (task_id) WHERE task_id IS NOT NULL",
        ),
    ),
)
_NEWS = 500
"""Deliveries that are looked at together."""


def default_path() -> Path:
    """Name the file that is used when nobody names one: the user's own, the same for all programs."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "memories_async" / "callbacks.db"


@define(eq=False)
class SqliteStore:
    """Keeps records in a database, which a ledger may share."""

    database: Database
    is_own: bool = field(default=True, kw_only=True)
    """Whether to close the database with the store."""

    def __attrs_post_init__(self) -> None:
        self.database.include(SCHEMA)

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None) -> Self:
        """Use the file at *path*, or the user's own for None; it is made at first use."""
        if path is None:
            path = default_path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(Database(Path(path)))

    async def secret(self) -> bytes:
        """Return the secret kept in the file."""
        return await self.database.write(_secret)

    async def issue(self, ticket: Ticket) -> None:
        """Write a submission down."""
        row = (ticket.id, ticket.call, ticket.key, ticket.issued_at)
        await self.database.write(partial(_insert_ticket, row=row))

    async def bind(self, id_: bytes, task_id: str) -> Record:
        """Note which task the submit reply named."""
        return await self.database.write(partial(_bind, id_=id_, task_id=task_id))

    async def deliver(
        self, id_: bytes, arrival: Arrival, *, accept_for: float
    ) -> tuple[Verdict, Record | None]:
        """Judge a delivery, and keep it if it is to be kept, in one transaction."""
        return await self.database.write(
            partial(_deliver, id_=id_, arrival=arrival, accept_for=accept_for)
        )

    async def find(self, wanted: Wanted) -> Record | None:
        """Look a submission up."""
        return await self.database.read(partial(_find, wanted=wanted))

    async def told(self, id_: bytes) -> None:
        """Note that the ledger was told."""
        await self.database.write(partial(_told, id_=id_))

    async def untold(self) -> tuple[Record, ...]:
        """List what the ledger was not told."""
        return await self.database.read(_untold)

    async def news(self, since: Any) -> tuple[Any, tuple[Record, ...]]:
        """Look whether anything was written, by whichever process, and if so at what came."""
        version = await asyncio.to_thread(self.database.version)
        if since is not None and since[0] == version:
            return since, ()
        seq, records, more = await self.database.read(partial(_news, since=since and since[1]))
        return (None if more else version, seq), records

    def close(self) -> None:
        """Let go of the file, unless it is the ledger's."""
        if self.is_own:
            self.database.close()

    def __str__(self) -> str:
        return str(self.database.path)


def _secret(db: sqlite3.Connection) -> bytes:
    db.execute("INSERT OR IGNORE INTO callback_secret VALUES (1, ?)", (new_secret(),))
    found: bytes = db.execute("SELECT secret FROM callback_secret").fetchone()[0]
    return found


def _insert_ticket(db: sqlite3.Connection, row: tuple[object, ...]) -> None:
    db.execute("INSERT INTO callbacks (id, call, key, issued_at) VALUES (?, ?, ?, ?)", row)


def _bind(db: sqlite3.Connection, id_: bytes, task_id: str) -> Record:
    db.execute("UPDATE callbacks SET task_id = ? WHERE id = ?", (task_id, id_))
    record = _load(db, id_)
    assert record is not None
    return record


def _told(db: sqlite3.Connection, id_: bytes) -> None:
    db.execute("UPDATE callbacks SET told = 1 WHERE id = ?", (id_,))


def _deliver(
    db: sqlite3.Connection, id_: bytes, arrival: Arrival, accept_for: float
) -> tuple[Verdict, Record | None]:
    record = _load(db, id_)
    if record is None:
        return Verdict.STRANGE, None
    verdict = record.judge(arrival, accept_for=accept_for)
    if record.keeps(verdict):
        db.execute(
            "INSERT INTO deliveries (id, task_id, final, body, at) VALUES (?, ?, ?, ?, ?)",
            (id_, arrival.task_id, arrival.final, arrival.body, arrival.at),
        )
        record = record.with_arrival(arrival)
    return verdict, record


def _find(db: sqlite3.Connection, wanted: Wanted) -> Record | None:
    if isinstance(wanted, bytes):
        return _load(db, wanted)
    row = db.execute(
        "SELECT id FROM callbacks WHERE task_id = ? UNION ALL"
        # A submission whose reply was lost is known by the task that its callback named.
        " SELECT d.id FROM deliveries d JOIN callbacks c ON c.id = d.id"
        " WHERE d.task_id = ? AND c.task_id IS NULL LIMIT 1",
        (wanted, wanted),
    ).fetchone()
    return None if row is None else _load(db, row[0])


def _load(db: sqlite3.Connection, id_: bytes) -> Record | None:
    rows = db.execute(
        "SELECT c.call, c.key, c.issued_at, c.task_id, c.told,"
        " d.task_id, d.final, d.body, d.at"
        " FROM callbacks c LEFT JOIN deliveries d ON d.id = c.id WHERE c.id = ? ORDER BY d.seq",
        (id_,),
    ).fetchall()
    if not rows:
        return None
    call, key, issued_at, task_id, told = rows[0][:5]
    return Record(
        ticket=Ticket(id=id_, call=call, key=key, issued_at=issued_at),
        task_id=task_id,
        arrivals=tuple(_arrival(*row[5:]) for row in rows if row[7] is not None),
        told=bool(told),
    )


def _arrival(task_id: str | None, final: int, body: bytes, at: float) -> Arrival:
    return Arrival(task_id=task_id, final=bool(final), body=body, at=at)


def _untold(db: sqlite3.Connection) -> tuple[Record, ...]:
    ids = db.execute(
        "SELECT id FROM callbacks c WHERE key IS NOT NULL AND NOT told"
        " AND EXISTS (SELECT 1 FROM deliveries d WHERE d.id = c.id)"
    ).fetchall()
    records = (_load(db, row[0]) for row in ids)
    return tuple(one for one in records if one is not None and one.is_owed)


def _news(db: sqlite3.Connection, since: int | None) -> tuple[int, tuple[Record, ...], bool]:
    if since is None:
        return db.execute("SELECT coalesce(max(seq), 0) FROM deliveries").fetchone()[0], (), False
    rows = db.execute(
        "SELECT seq, id FROM deliveries WHERE seq > ? ORDER BY seq LIMIT ?", (since, _NEWS)
    ).fetchall()
    records = (_load(db, id_) for id_ in {row[1] for row in rows})
    found = tuple(one for one in records if one is not None)
    return max((row[0] for row in rows), default=since), found, len(rows) == _NEWS
