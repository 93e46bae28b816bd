"""Entries of a ledger: found by their keys, shown, and priced where the ledger has no price."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import asdict, evolve

from memories_async.cli._run import CommandRun
from memories_async.ledger import Entry, Ledger, Summary


def build_document(entry: Entry) -> dict[str, Any]:
    """Build the part of the JSON document for one entry."""
    document = asdict(entry)
    reply = document.pop("reply")
    asked = json.loads(document.pop("asked"))
    return {**document, "asked": asked, "reply": None if reply is None else repr(reply)}


def show_entries(run: CommandRun, entries: Iterable[Entry], *, with_state: bool) -> None:
    """Show entries as a table."""
    names = ("key", "item", "call", *(("state",) if with_state else ()), "sent", "requests>", "why")
    run.screen.table(
        names,
        [
            (
                entry.key[:12],
                entry.item or "",
                entry.call,
                *((entry.state,) if with_state else ()),
                format_time(entry.sent_at),
                str(entry.attempts),
                entry.message or "",
            )
            for entry in entries
        ],
    )


def format_time(moment: float | None) -> str:
    """Write Unix seconds in local time; nothing where there are none."""
    if moment is None:
        return ""
    return f"{datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S}"


def add_prices(ledger: Ledger, summary: Summary, prices: Mapping[str, float]) -> Summary:
    """Add what the calls cost whose price the ledger does not have; recorded prices stay."""
    points, at_risk, priced = summary.points, summary.points_at_risk, 0
    for entry in ledger.entries():
        if entry.price is None and entry.billed != "no" and entry.unit in prices:
            priced += 1
            points += prices[entry.unit] * (entry.billed == "yes")
            at_risk += prices[entry.unit] * (entry.billed == "maybe")
    return evolve(
        summary, points=points, points_at_risk=at_risk, unpriced=summary.unpriced - priced
    )


def find_keys(ledger: Ledger, prefixes: Sequence[str], *, every: bool) -> list[str]:
    """Return the keys of the unknown calls that *prefixes* name, or of every unknown call."""
    if every == bool(prefixes):
        raise ValueError("give either one KEY or several, or --all")
    unknown = list(dict.fromkeys(entry.key for entry in ledger.unknown()))
    if every:
        return unknown
    found: list[str] = []
    for prefix in prefixes:
        matching = [key for key in unknown if key.startswith(prefix.lower())]
        if len(matching) != 1:
            how = f"{len(matching)} unknown calls have" if matching else "no unknown call has"
            raise ValueError(f"{how} a key that begins with {prefix!r}")
        found += matching
    return list(dict.fromkeys(found))
