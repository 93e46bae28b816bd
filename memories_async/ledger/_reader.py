"""Reads of the ledger's entries: lookups, pages and sums, in SQL for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, frozen

from memories_async._database.group_commit import Connection
from memories_async._protocol.network import is_loopback
from memories_async._protocol.reply import Reply
from memories_async.errors import Billed
from memories_async.ledger._schema import EntryKey, EntryRow
from memories_async.ledger._values import Entry, State, Summary

PAGE = 200
"""Entries read at once: a page is in memory with its replies."""
_ROW = ("id", "state", "account", "owner", "attempts", "sent_at", "status", "message", "body")
_ENTRY = (
    "entries.id, key, item, call, asked, account, unit, state, attempts, doubts, price,"
    " planned_at, sent_at, ended_at, status, message, body"
)
_WITH_REPLIES = "FROM entries LEFT JOIN replies USING (id)"


@frozen
class EntryReader:
    """Reads the entries within one transaction of a connection."""

    connection: Connection

    def find(self, key: str, *, fresh: bool = False) -> EntryRow | None:
        """Look up the entry that answers for *key*: a done one, else the latest.

        *fresh* leaves out what is done or unknown.
        """
        condition = "key = ?" + (" AND state NOT IN ('done', 'unknown')" if fresh else "")
        return self._find_row(condition, bytes.fromhex(key))

    def find_by_id(self, entry: int) -> EntryRow | None:
        """Look up one entry."""
        return self._find_row("entries.id = ?", entry)

    def _find_row(self, condition: str, *values: object) -> EntryRow | None:
        row = self.connection.execute(
            f"SELECT entries.{', '.join(_ROW)} {_WITH_REPLIES} WHERE {condition}"  # constants
            " ORDER BY state = 'done' DESC, entries.id DESC LIMIT 1",
            values,
        ).fetchone()
        return None if row is None else EntryRow(**dict(zip(_ROW, row, strict=True)))

    def find_elsewhere(self, content: bytes, account: str) -> EntryRow | None:
        """Look up an entry of another account for the same call that is, or may soon be, paid."""
        rows = self.connection.execute(
            "SELECT id, state, account, owner FROM entries WHERE content = ? AND account <> ?"
            " AND (state IN ('done', 'unknown', 'sending') OR owner IS NOT NULL)"
            " ORDER BY state = 'done' DESC, id DESC",
            (content, account),
        )
        found = (
            EntryRow(id=id_, state=state, account=other, owner=owner)
            for id_, state, other, owner in rows
        )
        return next((row for row in found if _may_be_one(row.account, account)), None)

    def find_known(self, keys: Sequence[EntryKey]) -> set[bytes]:
        """Return the keys and the contents among those of *keys* of which there are entries."""
        marks = ", ".join("?" * len(keys))
        wanted = {
            "key": [bytes.fromhex(key.key) for key in keys],
            "content": [key.content for key in keys],
        }
        return {
            row[0]
            for column, values in wanted.items()
            for row in self.connection.execute(
                f"SELECT {column} FROM entries WHERE {column} IN ({marks})",  # noqa: S608  # marks
                values,
            )
        }

    def find_current_key(self, key: str) -> bytes:
        """Return the key that an entry has today, given one that it has or had.

        Raises `KeyError` where the ledger has no such entry.
        """
        try:
            value = bytes.fromhex(key)
        except ValueError:
            raise KeyError(key) from None
        row: tuple[bytes] | None = self.connection.execute(
            "SELECT key FROM entries WHERE key = ?"
            " UNION ALL SELECT current FROM former_keys WHERE key = ? LIMIT 1",
            (value, value),
        ).fetchone()
        if row is None:
            raise KeyError(key)
        return row[0]

    def find_replies(self, keys: Sequence[str]) -> dict[str, Reply]:
        """Look up the newest paid reply to each of many *keys*, at once."""
        marks = ", ".join("?" * len(keys))
        rows = self.connection.execute(
            "SELECT key, status, body FROM entries JOIN replies USING (id)"  # noqa: S608  # marks
            f" WHERE key IN ({marks}) AND state = 'done' ORDER BY id",
            [*map(bytes.fromhex, keys)],
        )
        return {key.hex(): Reply(status=status or 200, body=body) for key, status, body in rows}

    def find_embedding(self) -> bytes | None:
        """Return the reply of one embedding, which shows the length of the others."""
        row: tuple[bytes] | None = self.connection.execute(
            "SELECT body FROM entries JOIN replies USING (id)"
            " WHERE unit = 'embedding' AND state = 'done' LIMIT 1"
        ).fetchone()
        return None if row is None else row[0]

    def list_page(self, after: int, state: State | None = None) -> list[tuple[int, Entry]]:
        """List a page of entries with ids above *after*, oldest first."""
        rows = self.connection.execute(
            f"SELECT {_ENTRY} {_WITH_REPLIES} WHERE entries.id > ?"  # constants
            + ("" if state is None else f" AND state = '{state}'")
            + " ORDER BY entries.id LIMIT ?",
            (after, PAGE),
        )
        return [(row[0], _build_entry(row)) for row in rows]

    def list_of_key(self, key: str) -> list[Entry]:
        """List every entry of one call, oldest first: `fresh` calls have several."""
        try:
            value = self.find_current_key(key)
        except KeyError:
            return []
        rows = self.connection.execute(
            f"SELECT {_ENTRY} {_WITH_REPLIES} WHERE key = ? ORDER BY entries.id",
            (value,),
        )
        return [_build_entry(row) for row in rows]

    def summarize(self) -> Summary:
        """Count the entries by state and by call, and add up what they cost."""
        total, by_call = Summary(), dict[str, dict[State, int]]()
        rows = self.connection.execute(
            "SELECT call, state, count(*), sum(attempts), "
            " sum(CASE WHEN state = 'done' THEN price END),"
            " sum(price * (CASE WHEN state IN ('sending', 'unknown') THEN 1 ELSE 0 END + doubts)),"
            " sum(CASE WHEN price IS NULL AND (doubts > 0 OR state IN ('done', 'sending', 'unknown'))"
            " THEN 1 ELSE 0 END)"
            " FROM entries GROUP BY call, state ORDER BY call, state"
        )
        for call, state, count, attempts, points, at_risk, unpriced in rows:
            by_call.setdefault(call, {})[state] = count
            total = evolve(
                total,
                **{state: getattr(total, state) + count},
                attempts=total.attempts + attempts,
                points=total.points + (points or 0.0),
                points_at_risk=total.points_at_risk + (at_risk or 0.0),
                unpriced=total.unpriced + unpriced,
            )
        accounts = self.connection.execute(
            "SELECT account, count(*) FROM entries GROUP BY account ORDER BY account"
        )
        return evolve(total, by_call=by_call, by_account=dict(accounts.fetchall()))


def _may_be_one(account: str, other: str) -> bool:
    """Whether two names may mean one account of the service.

    An account without a name is called after its key and server. An embedded service on this machine
    is another server than every other: what was paid there was not paid elsewhere.
    """
    servers = {name.partition("@")[2] for name in (account, other)} - {""}
    return len(servers) < 2 or not any(  # noqa: PLR2004  # named, or of one server
        is_loopback(urlsplit(server).hostname or "") for server in servers
    )


def _build_entry(row: Sequence[Any]) -> Entry:
    (_, key, item, call, asked, account, unit, state, attempts, doubts, price, *rest) = row
    planned_at, sent_at, ended_at, status, message, body = rest
    billed: Billed = "yes" if state == "done" else "no"
    if state in {"sending", "unknown"} or (doubts and state != "done"):
        billed = "maybe"
    return Entry(
        key=key.hex(),
        item=item,
        call=call,
        asked=asked,
        account=account,
        unit=unit,
        state=state,
        attempts=attempts,
        billed=billed,
        price=price,
        planned_at=planned_at,
        sent_at=sent_at,
        ended_at=ended_at,
        status=status,
        message=message,
        reply=body,
    )
