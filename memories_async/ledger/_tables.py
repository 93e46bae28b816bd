"""The ledger's tables, and the few moves by which an entry changes its state. Plain SQL, no waiting.

Every function runs inside a transaction of the database. A done entry never changes again; `fresh`
calls get entries of their own.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from attrs import frozen

from memories_async._database.file import Schema
from memories_async.ledger._process_lock import Owner

SCHEMA = Schema(
    "ledger",
    (
        (
            """
            CREATE TABLE entries (
                id INTEGER PRIMARY KEY, key BLOB NOT NULL, item TEXT, call TEXT NOT NULL,
                asked TEXT NOT NULL, account TEXT NOT NULL, unit TEXT NOT NULL,
                state TEXT NOT NULL DEFAULT 'planned', owner TEXT,
                attempts INTEGER NOT NULL DEFAULT 0, doubts INTEGER NOT NULL DEFAULT 0, price REAL,
                planned_at REAL NOT NULL, sent_at REAL, ended_at REAL, status INTEGER, message TEXT
            )
            """,
            # Replies stand apart, so that an entry's moves rewrite a short row.
            "CREATE TABLE replies (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
            "CREATE INDEX entries_by_key ON entries (key)",
            "CREATE INDEX entries_at_work ON entries (owner) WHERE owner IS NOT NULL",
            "CREATE INDEX entries_in_doubt ON entries (id) WHERE state = 'unknown'",
        ),
    ),
)
DIED = "the process that sent it ended before an answer was recorded"


@frozen(kw_only=True)
class Ask:
    """What is to be asked, in the ledger's terms."""

    key: str
    call: str
    asked: str
    account: str
    unit: str
    item: str | None = None
    price: float | None = None
    """Points that a success costs, where a budget knows it."""


@frozen(kw_only=True)
class Found:
    """How an entry stands when somebody wants it sent."""

    id: int
    state: str
    owner: str | None = None
    attempts: int = 0
    sent_at: float | None = None
    status: int | None = None
    message: str | None = None
    body: bytes | None = None


def find(connection: sqlite3.Connection, key: str, *, fresh: bool = False) -> Found | None:
    """Look up the entry that answers for *key*: a done one, else the latest."""
    return _found(
        connection,
        "key = ? AND state NOT IN ('done', 'unknown')" if fresh else "key = ?",
        bytes.fromhex(key),
    )


def paid(
    connection: sqlite3.Connection, keys: Sequence[bytes]
) -> dict[bytes, tuple[int | None, bytes]]:
    """Look up status and body of the newest paid reply to each of many *keys*, at once."""
    marks = ", ".join("?" * len(keys))
    rows = connection.execute(
        "SELECT key, status, body FROM entries JOIN replies USING (id)"  # noqa: S608  # marks
        f" WHERE key IN ({marks}) AND state = 'done' ORDER BY id",
        keys,
    )
    return {key: (status, body) for key, status, body in rows}


def find_entry(connection: sqlite3.Connection, entry: int) -> Found | None:
    """Look up one entry."""
    return _found(connection, "entries.id = ?", entry)


def _found(connection: sqlite3.Connection, condition: str, value: object) -> Found | None:
    row = connection.execute(
        "SELECT entries.id, state, owner, attempts, sent_at, status, message, body"  # noqa: S608  # constants
        f" FROM entries LEFT JOIN replies USING (id) WHERE {condition}"
        " ORDER BY state = 'done' DESC, entries.id DESC LIMIT 1",
        (value,),
    ).fetchone()
    return None if row is None else Found(**dict(zip(_FOUND, row, strict=True)))


_FOUND = ("id", "state", "owner", "attempts", "sent_at", "status", "message", "body")


def take(
    connection: sqlite3.Connection, ask: Ask, owner: Owner, *, fresh: bool, resend: bool
) -> tuple[Found, bool]:
    """Claim the entry of *ask* for *owner*; False where it is done, in doubt or someone else's."""
    found = find(connection, ask.key, fresh=fresh)
    if found is not None and found.owner is not None:
        if found.owner != owner.name() and owner.is_alive(found.owner):
            return found, False
        # Of a dead process, or of a wait of ours that was given up: nobody finishes it.
        leave(connection, found.owner, entry=found.id)
        found = find(connection, ask.key, fresh=fresh)
    if found is None:
        return Found(id=_insert(connection, ask, owner), state="planned"), True
    if found.state == "done" or (found.state == "unknown" and not resend):
        return found, False
    connection.execute("UPDATE entries SET owner = ? WHERE id = ?", (owner.name(), found.id))
    return found, True


def _insert(connection: sqlite3.Connection, ask: Ask, owner: Owner) -> int:
    identity = connection.execute(
        "INSERT INTO entries (key, item, call, asked, account, unit, owner, planned_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(bytes.fromhex(ask.key), ask.item, ask.call, ask.asked, ask.account, ask.unit),
            *(owner.name(), time.time()),
        ),
    ).lastrowid
    assert identity is not None
    return identity


def put_back(connection: sqlite3.Connection, key: str, owner: str) -> None:
    """Undo a claim under which nothing was begun."""
    connection.execute(
        "UPDATE entries SET owner = NULL WHERE key = ? AND owner = ?", (bytes.fromhex(key), owner)
    )


def begin(connection: sqlite3.Connection, entry: int, owner: str, price: float | None) -> bool:
    """Commit the intent to send; False where the entry was settled or taken meanwhile."""
    return _changed(
        connection,
        "UPDATE entries SET state = 'sending', attempts = attempts + 1, sent_at = ?, price = ?,"
        " doubts = doubts + (state = 'unknown'), message = NULL, status = NULL"
        " WHERE id = ? AND owner = ? AND state IN ('planned', 'refused', 'unknown')",
        (time.time(), price, entry, owner),
    )


def finish(connection: sqlite3.Connection, entry: int, status: int | None, body: bytes) -> bool:
    """Keep a paid answer; the first one stays."""
    changed = _changed(
        connection,
        "UPDATE entries SET state = 'done', owner = NULL, ended_at = ?, status = ?, message = NULL"
        " WHERE id = ? AND state <> 'done'",
        (time.time(), status, entry),
    )
    if changed:
        keep_reply(connection, entry, body)
    return changed


def keep_reply(connection: sqlite3.Connection, entry: int, body: bytes) -> None:
    """Store the raw body of a reply."""
    connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (entry, body))


@frozen(kw_only=True)
class End:
    """How an attempt ended without an answer."""

    state: str
    """`planned` where nothing was asked, `refused`, or `unknown`."""
    final: bool = True
    status: int | None = None
    message: str | None = None
    body: bytes | None = None
    unbegun: bool = False
    """Whether the attempt was called off before a byte of it left."""
    doubt_again: bool = False
    """Whether `unknown` is about an earlier attempt, which `begin` had counted as a doubt."""


def stop(connection: sqlite3.Connection, entry: int, owner: str, end: End) -> None:
    """Note the end of an attempt, unless a callback settled the entry meanwhile."""
    changed = _changed(
        connection,
        "UPDATE entries SET state = ?, status = ?, message = ?, ended_at = ?, owner = ?,"
        " attempts = attempts - ?, doubts = max(0, doubts - ?)"
        " WHERE id = ? AND owner = ? AND state = 'sending'",
        (
            *(end.state, end.status, end.message, time.time(), None if end.final else owner),
            *(end.unbegun, end.doubt_again, entry, owner),
        ),
    )
    if changed and end.body is not None:
        keep_reply(connection, entry, end.body)


def leave(
    connection: sqlite3.Connection, owner: str, *, entry: int | None = None, message: str = DIED
) -> None:
    """Let go of what *owner* holds, or of one *entry*: what was being sent is in doubt."""
    chosen = "owner = ?" + ("" if entry is None else " AND id = ?")
    which = (owner,) if entry is None else (owner, entry)
    connection.execute(
        "UPDATE entries SET state = 'unknown', ended_at = ?, message = ?"  # noqa: S608  # constants
        f" WHERE {chosen} AND state = 'sending'",
        (time.time(), message, *which),
    )
    connection.execute(f"UPDATE entries SET owner = NULL WHERE {chosen}", which)  # noqa: S608


def bury_the_dead(connection: sqlite3.Connection, owner: Owner) -> None:
    """Let go of everything that processes held which are gone."""
    rows = connection.execute("SELECT DISTINCT owner FROM entries WHERE owner IS NOT NULL")
    for (name,) in rows.fetchall():
        if not owner.is_alive(name):
            leave(connection, name)
            owner.bury(name)


def _changed(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> bool:
    return connection.execute(statement, values).rowcount == 1
