"""What a batch would do and cost, reckoned before a byte is sent. Runs in a thread."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call
from memories_async.batch._source import CHUNK, Item, pairs
from memories_async.batch._values import Plan
from memories_async.errors import MemoriesError
from memories_async.ledger import _tables
from memories_async.ledger._coordinator import Desk, ask_for, is_recorded


def plan_of(
    calls: Mapping[Any, Call[Any]] | Iterable[Item[Any, Any]], settings: Settings, desk: Desk | None
) -> Plan:
    """Go through *calls* once."""
    draft = _Draft(settings, desk)
    items = iter(pairs(calls))
    while chunk := [call for _, call in islice(items, CHUNK)]:
        draft.add(chunk)
    return draft.plan()


@define(eq=False)
class _Draft:
    settings: Settings
    desk: Desk | None
    counts: Counter[str] = field(factory=Counter[str], init=False)
    families: Counter[str] = field(factory=Counter[str], init=False)
    units: Counter[str] = field(factory=Counter[str], init=False)
    seen: set[bytes] = field(factory=set[bytes], init=False)

    def add(self, calls: list[Call[Any]]) -> None:
        """Count some calls."""
        fates = (
            map(self._fate, calls)
            if self.desk is None
            else self.desk.database.read_now(partial(self._fates, calls=calls))
        )
        for call, fate in zip(calls, fates, strict=True):
            self.counts["items"] += 1
            self.counts[fate] += 1
            if fate == "calls":
                self.families[call.family] += 1
                self.units.update([call.unit] if call.unit else [])

    def _fates(self, connection: sqlite3.Connection, *, calls: list[Call[Any]]) -> list[str]:
        return [self._fate(call, connection) for call in calls]

    def _fate(self, call: Call[Any], connection: sqlite3.Connection | None = None) -> str:
        if not is_recorded(call):
            return "calls"
        try:
            ask = ask_for(call, self.settings.account(call))
        except (MemoriesError, OSError):
            return "invalid"
        found = None if connection is None else _tables.find(connection, ask.key)
        if found is not None and found.state in {"done", "unknown"}:
            return "paid" if found.state == "done" else "unknown"
        if connection is not None and bytes.fromhex(ask.key) in self.seen:
            return "repeated"
        self.seen.add(bytes.fromhex(ask.key))
        return "calls"

    def plan(self) -> Plan:
        """Return the sums."""
        limits = self.settings.limits
        names = ("items", "paid", "unknown", "repeated", "invalid", "calls")
        seconds = (count * limits.of(family).interval for family, count in self.families.items())
        return Plan(
            **{name: self.counts[name] for name in names},
            by_unit=dict(self.units),
            seconds=max(seconds, default=0.0),
            points=self._points(),
        )

    def _points(self) -> float | None:
        prices = {k: v for budget in self.settings.budgets for k, v in budget.prices.items()}
        if not prices or not self.units.keys() <= prices.keys():
            return None
        return sum(count * prices[unit] for unit, count in self.units.items())
