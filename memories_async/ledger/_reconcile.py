"""What a person, or a callback, tells the ledger about a call whose outcome it does not know."""

from __future__ import annotations

import sqlite3
import time

from memories_async.ledger import _tables
from memories_async.ledger._process_lock import Owner


def settle(
    connection: sqlite3.Connection, key: str, owner: Owner, *, paid: bool, body: bytes | None
) -> None:
    """Turn the latest entry of *key* that is not done into done (*paid*) or planned."""
    entry, state, holder = _open_entry(connection, key)
    if entry is None:
        return
    if paid and body is not None:
        _tables.finish(connection, entry, None, body)
        return
    if state == "sending" and owner.is_alive(holder):
        raise ValueError(f"{key} is being sent right now; its outcome is about to be known")
    if paid:
        _change(connection, entry, "state = 'done', owner = NULL, message = 'settled as paid'")
    elif state in {"unknown", "sending"}:
        # Who claimed an unknown entry, to send it again, keeps it.
        keep = "owner" if state == "unknown" else "NULL"
        _change(connection, entry, f"state = 'planned', doubts = 0, message = NULL, owner = {keep}")
    else:
        _change(connection, entry, "doubts = 0")


def retry(connection: sqlite3.Connection, key: str) -> None:
    """Let an unknown entry be sent again, remembering that it may have been paid."""
    entry, state, _ = _open_entry(connection, key)
    if entry is None or state == "sending":
        raise ValueError(f"{key} is {'done' if entry is None else 'being sent right now'}")
    connection.execute(
        "UPDATE entries SET state = 'planned', doubts = doubts + 1"
        " WHERE id = ? AND state = 'unknown'",
        (entry,),
    )


def _change(connection: sqlite3.Connection, entry: int, change: str) -> None:
    connection.execute(
        f"UPDATE entries SET {change}, ended_at = ? WHERE id = ?",  # noqa: S608  # constants
        (time.time(), entry),
    )


def _open_entry(connection: sqlite3.Connection, key: str) -> tuple[int | None, str, str]:
    """Find the latest entry of *key* that is not done; raise `KeyError` where there is no entry."""
    rows = connection.execute(
        "SELECT id, state, coalesce(owner, '') FROM entries WHERE key = ? ORDER BY id DESC",
        (_bytes(key),),
    ).fetchall()
    if not rows:
        raise KeyError(key)
    return next((row for row in rows if row[1] != "done"), (None, "done", ""))


def _bytes(key: str) -> bytes:
    try:
        return bytes.fromhex(key)
    except ValueError:
        raise KeyError(key) from None
