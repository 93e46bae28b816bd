"""The moves by which the ledger's entries change their state, and the store that runs them.

A coordinator asks for moves by name and never sees SQL: another database takes SQLite's place by an
`EntryStore` whose `write` and `read` hand out an object with the methods of `EntryWriter`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from memories_async._database.database import Database
from memories_async._protocol.call import derive_fingerprint
from memories_async.ledger._lease import OwnerLease
from memories_async.ledger._process_lock import OwnerLock, ProcessLock
from memories_async.ledger._reader import EntryReader
from memories_async.ledger._schema import AttemptEnd, EntryKey, EntryRow

T = TypeVar("T")

DIED = "the process that sent it ended before an answer was recorded"


@frozen
class EntryWriter(EntryReader):
    """Changes the entries within one transaction of a connection.

    An entry that is done never changes again; `fresh` calls get entries of their own.
    """

    lock: OwnerLock

    def claim(self, key: EntryKey, *, fresh: bool, resend: bool) -> tuple[EntryRow, str | None]:
        """Make this process the owner of the entry of *key*; return the entry and the owner's name.

        No name: the entry is done, unknown (unless *resend*) or another process's, or the same
        call is or may be paid under another account's name (unless *fresh*).
        """
        row, name = self.find(key.key, fresh=fresh), self.lock.acquire()
        if row is not None and row.owner is not None:
            if row.owner != name and self.lock.is_alive(row.owner):
                return row, None
            # Of a dead process, or of a task of ours that is gone: nobody finishes it.
            self.release(row.owner, entry=row.id)
            row = self.find(key.key, fresh=fresh)
        if row is not None and (row.state == "done" or (row.state == "unknown" and not resend)):
            return row, None
        elsewhere = None if fresh else self._find_live_elsewhere(key)
        if elsewhere is not None:
            return elsewhere, None
        if row is None:
            return self._insert(key)
        self.connection.execute("UPDATE entries SET owner = ? WHERE id = ?", (name, row.id))
        return row, name

    def claim_all(
        self, keys: Sequence[EntryKey], *, fresh: bool, resend: bool
    ) -> list[tuple[EntryRow, str | None]]:
        """Claim the entry of each key as `claim` does; two looks find those that are not new."""
        known = self.find_known(keys)
        claimed: list[tuple[EntryRow, str | None]] = []
        for key in keys:
            names = {bytes.fromhex(key.key), key.content}
            if known.isdisjoint(names):
                claimed.append(self._insert(key))
            else:
                claimed.append(self.claim(key, fresh=fresh, resend=resend))
            known |= names
        return claimed

    def _insert(self, key: EntryKey) -> tuple[EntryRow, str]:
        value, name = bytes.fromhex(key.key), self.lock.acquire()
        columns = (value, key.content, key.item, key.call, key.asked, key.account, key.unit, name)
        self.connection.execute(
            "INSERT INTO entries"
            " (key, content, item, call, asked, account, unit, owner, planned_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*columns, time.time()),
        )
        # The only writer inserted it.
        newest = self.connection.execute("SELECT max(id) FROM entries WHERE key = ?", (value,))
        return EntryRow(id=newest.fetchone()[0], state="planned"), name

    def _find_live_elsewhere(self, key: EntryKey) -> EntryRow | None:
        row = self.find_elsewhere(key.content, key.account)
        while row is not None and row.owner is not None and not self.lock.is_alive(row.owner):
            self.release(row.owner, entry=row.id)
            row = self.find_elsewhere(key.content, key.account)
        return row

    def withdraw(self, keys: Sequence[str]) -> None:
        """Undo claims under which no attempt was begun."""
        for key in keys:
            self.connection.execute(
                "UPDATE entries SET owner = NULL WHERE key = ? AND owner = ?",
                (bytes.fromhex(key), self.lock.acquire()),
            )

    def begin(self, entry: int, owner: str, price: float | None) -> bool:
        """Record the intent to send; False where the entry was settled or claimed meanwhile."""
        return self.lock.is_alive(owner) and self._change_one(
            "UPDATE entries SET state = 'sending', attempts = attempts + 1, sent_at = ?, price = ?,"
            " doubts = doubts + CASE state WHEN 'unknown' THEN 1 ELSE 0 END, message = NULL, status = NULL"
            " WHERE id = ? AND owner = ? AND state IN ('planned', 'refused', 'unknown')",
            (time.time(), price, entry, owner),
        )

    def has_begun(self, entry: int, owner: str) -> bool:
        """Whether *owner* recorded the intent to send *entry*, and no end of the attempt since."""
        row = self.find_by_id(entry)
        return row is not None and (row.state, row.owner) == ("sending", owner)

    def finish(self, entry: int, status: int | None, body: bytes) -> bool:
        """Record a paid reply; an entry keeps its first one."""
        changed = self._change_one(
            "UPDATE entries SET state = 'done', owner = NULL, ended_at = ?, status = ?,"
            " message = NULL WHERE id = ? AND state <> 'done'",
            (time.time(), status, entry),
        )
        if changed:
            self._keep_reply(entry, body)
        return changed

    def stop(self, entry: int, owner: str, end: AttemptEnd) -> None:
        """Record how an attempt ended, unless a callback settled the entry meanwhile."""
        changed = self._change_one(
            "UPDATE entries SET state = ?, status = ?, message = ?, ended_at = ?, owner = ?,"
            " attempts = attempts - ?, doubts = CASE WHEN doubts > 0 THEN doubts - ? ELSE 0 END"
            " WHERE id = ? AND owner = ? AND state = 'sending'",
            (
                *(end.state, end.status, end.message, time.time(), None if end.final else owner),
                *(int(end.is_withdrawn), int(end.restores_doubt), entry, owner),
            ),
        )
        if changed and end.body is not None:
            self._keep_reply(entry, end.body)

    def release(self, owner: str, *, entry: int | None = None, message: str = DIED) -> None:
        """Take *owner* off all its entries, or off one; what it was sending becomes unknown."""
        chosen = "owner = ?" + ("" if entry is None else " AND id = ?")
        which = (owner,) if entry is None else (owner, entry)
        self.connection.execute(
            "UPDATE entries SET state = 'unknown', ended_at = ?, message = ?"  # noqa: S608  # constants
            f" WHERE {chosen} AND state = 'sending'",
            (time.time(), message, *which),
        )
        self.connection.execute(f"UPDATE entries SET owner = NULL WHERE {chosen}", which)  # noqa: S608

    def release_dead(self) -> None:
        """Release the entries of all processes that have ended."""
        rows = self.connection.execute("SELECT DISTINCT owner FROM entries WHERE owner IS NOT NULL")
        for (name,) in rows.fetchall():
            if not self.lock.is_alive(name):
                self.release(name)
                self.lock.release_dead(name)

    def settle(self, key: str, *, paid: bool, body: bytes | None) -> None:
        """Turn the latest entry of *key* that is not done into done (*paid*) or planned."""
        row = self._find_open(key)
        if row is None:
            return
        if paid and body is not None:
            self.finish(row.id, None, body)
            return
        if row.state == "sending" and self.lock.is_alive(row.owner or ""):
            raise ValueError(f"{key} is being sent right now; its outcome is about to be known")
        if paid:
            change = "state = 'done', owner = NULL, message = 'settled as paid'"
        elif row.state in {"unknown", "sending"}:
            # A process that claimed an unknown entry to send it again keeps it.
            owner = "owner" if row.state == "unknown" else "NULL"
            change = f"state = 'planned', doubts = 0, message = NULL, owner = {owner}"
        else:
            change = "doubts = 0"
        self.connection.execute(
            f"UPDATE entries SET {change}, ended_at = ? WHERE id = ?",  # noqa: S608  # constants
            (time.time(), row.id),
        )

    def retry(self, key: str) -> None:
        """Let an unknown entry be sent again; it still counts as perhaps paid."""
        row = self._find_open(key)
        if row is None or row.state == "sending":
            raise ValueError(f"{key} is {'done' if row is None else 'being sent right now'}")
        self.connection.execute(
            "UPDATE entries SET state = 'planned', doubts = doubts + 1"
            " WHERE id = ? AND state = 'unknown'",
            (row.id,),
        )

    def rename_account(self, old: str, new: str) -> int:
        """Give the entries of account *old* to account *new*; return how many."""
        self.release_dead()
        rows = self.connection.execute(
            "SELECT id, key, content, owner FROM entries WHERE account = ?", (old,)
        ).fetchall()
        if any(owner is not None for *_, owner in rows):
            raise ValueError(f"a call of the account {old!r} is being sent right now; try again")
        for id_, key, content, _ in rows:
            # An entry of version 1 that could not be upgraded keeps its key, and is not found by it.
            current = key if content is None else bytes.fromhex(derive_fingerprint(content, new))
            self.connection.execute(
                "UPDATE entries SET account = ?, key = ? WHERE id = ?", (new, current, id_)
            )
            self.connection.execute(
                "UPDATE former_keys SET current = ? WHERE current = ?", (current, key)
            )
            self.connection.execute(
                "INSERT INTO former_keys VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET current = excluded.current",
                (key, current),
            )
        return len(rows)

    def forget(self, before: float) -> int:
        """Delete entries that ended before a time, except those perhaps paid; return how many."""
        self.release_dead()
        if isinstance(self.connection, sqlite3.Connection):
            # Deleted prompts and answers are overwritten, not only unlinked.
            self.connection.execute("PRAGMA secure_delete = ON")
        chosen = (
            "SELECT id FROM entries WHERE coalesce(ended_at, planned_at) < ? AND owner IS NULL"
            " AND state <> 'unknown' AND (state = 'done' OR doubts = 0)"
        )
        self.connection.execute(f"DELETE FROM replies WHERE id IN ({chosen})", (before,))  # noqa: S608
        deleted = self.connection.execute(
            f"DELETE FROM entries WHERE id IN ({chosen})",  # noqa: S608  # constants
            (before,),
        ).rowcount
        self.connection.execute(
            "DELETE FROM former_keys WHERE current NOT IN (SELECT key FROM entries)"
        )
        return deleted

    def _find_open(self, key: str) -> EntryRow | None:
        """Find the latest entry of *key* that is not done; raise `KeyError` where there is none."""
        rows = self.connection.execute(
            "SELECT id, state, owner FROM entries WHERE key = ? ORDER BY id DESC",
            (self.find_current_key(key),),
        ).fetchall()
        found = (EntryRow(id=id_, state=state, owner=owner) for id_, state, owner in rows)
        return next((row for row in found if row.state != "done"), None)

    def _keep_reply(self, entry: int, body: bytes) -> None:
        self.connection.execute(
            "INSERT INTO replies VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (entry, body),
        )

    def _change_one(self, statement: str, values: tuple[object, ...]) -> bool:
        return self.connection.execute(statement, values).rowcount == 1


@frozen
class EntryStore:
    """Runs moves and reads in transactions of one database.

    A move returns after its transaction is on the disk. All methods raise `DatabaseFailed`.
    """

    database: Database
    lock: ProcessLock | OwnerLease

    async def write(self, move: Callable[[EntryWriter], T]) -> T:
        """Run *move* in a transaction."""
        return await self.database.write(lambda db: move(EntryWriter(db, self.lock.within(db))))

    def write_now(self, move: Callable[[EntryWriter], T]) -> T:
        """Do as `write` does, blocking this thread."""
        return self.database.write_now(lambda db: move(EntryWriter(db, self.lock.within(db))))

    async def read(self, look: Callable[[EntryReader], T]) -> T:
        """Run *look*, which only reads."""
        return await self.database.read(lambda db: look(EntryReader(db)))

    def read_now(self, look: Callable[[EntryReader], T]) -> T:
        """Do as `read` does, blocking this thread."""
        return self.database.read_now(lambda db: look(EntryReader(db)))

    def close(self) -> None:
        """Commit what is queued, and release this process's lock."""
        if isinstance(self.lock, OwnerLease):  # it is a row of the database
            self.lock.release()
        self.database.close()
        self.lock.release()
