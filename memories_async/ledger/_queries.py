"""Reading the ledger: entries page by page, and the sums. Plain SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from memories_async.errors import Billed
from memories_async.ledger._values import Entry, State, Summary

PAGE = 200
"""Entries read at once: a page is in memory with its replies."""
_COLUMNS = (
    "entries.id, hex(key), item, call, asked, account, unit, state, attempts, doubts, price,"
    " planned_at, sent_at, ended_at, status, message, body"
)


def page(
    connection: sqlite3.Connection, after: int, state: State | None = None
) -> list[tuple[int, Entry]]:
    """Read the entries that follow the one numbered *after*, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries LEFT JOIN replies USING (id) WHERE entries.id > ?"  # noqa: S608  # constants
        + ("" if state is None else f" AND state = '{state}'")
        + " ORDER BY entries.id LIMIT ?",
        (after, PAGE),
    )
    return [(row[0], _entry(row)) for row in rows]


def embedding(connection: sqlite3.Connection) -> bytes | None:
    """Read the reply of one embedding, to see how long the others are."""
    row: tuple[bytes] | None = connection.execute(
        "SELECT body FROM entries JOIN replies USING (id)"
        " WHERE unit = 'embedding' AND state = 'done' LIMIT 1"
    ).fetchone()
    return None if row is None else row[0]


def of_key(connection: sqlite3.Connection, key: str) -> list[Entry]:
    """Read every entry of one call, oldest first: `fresh` calls have several."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries LEFT JOIN replies USING (id) WHERE key = ?"  # noqa: S608
        " ORDER BY entries.id",
        (bytes.fromhex(key),),
    )
    return [_entry(row) for row in rows]


def _entry(row: Sequence[Any]) -> Entry:
    (_, key, item, call, asked, account, unit, state, attempts, doubts, price, *rest) = row
    planned_at, sent_at, ended_at, status, message, body = rest
    return Entry(
        key=key.lower(),
        item=item,
        call=call,
        asked=asked,
        account=account,
        unit=unit,
        state=state,
        attempts=attempts,
        billed=_billed(state, doubts),
        price=price,
        planned_at=planned_at,
        sent_at=sent_at,
        ended_at=ended_at,
        status=status,
        message=message,
        reply=body,
    )


def _billed(state: str, doubts: int) -> Billed:
    if state == "done":
        return "yes"
    return "maybe" if state in {"sending", "unknown"} or doubts else "no"


def summary(connection: sqlite3.Connection) -> Summary:
    """Count the entries by state and by call, and add up what they cost."""
    total, by_call = Summary(), dict[str, dict[State, int]]()
    rows = connection.execute(
        "SELECT call, state, count(*), sum(attempts),"
        " sum(price * (state = 'done')), sum(price * ((state IN ('sending', 'unknown')) + doubts))"
        " FROM entries GROUP BY call, state ORDER BY call, state"
    )
    for call, state, count, attempts, points, at_risk in rows:
        by_call.setdefault(call, {})[state] = count
        total = evolve(
            total,
            **{state: getattr(total, state) + count},
            attempts=total.attempts + attempts,
            points=total.points + (points or 0.0),
            points_at_risk=total.points_at_risk + (at_risk or 0.0),
        )
    return evolve(total, by_call=by_call)
