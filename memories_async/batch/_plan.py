"""Computes what a batch would send and cost, without sending anything. Runs in a thread."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import islice
from typing import Any

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call
from memories_async.batch._source import AHEAD, Calls, Item, build_call, iterate_pairs
from memories_async.batch._values import Plan
from memories_async.errors import MemoriesError
from memories_async.ledger._coordinator import Coordinator, build_entry_key, is_recorded
from memories_async.ledger._reader import EntryReader


def compute_plan(
    calls: Calls[Any, Any],
    settings: Settings,
    coordinator: Coordinator | None,
) -> Plan:
    """Iterate over *calls* once and count them by what would become of them."""
    counts = _PlanCounts(settings)
    items = iter(iterate_pairs(calls))
    while chunk := [*islice(items, AHEAD)]:
        if coordinator is None:
            counts.add(chunk, None)
        else:
            coordinator.store.read_now(partial(counts.add, chunk))
    return counts.build_plan()


@define(eq=False)
class _PlanCounts:
    settings: Settings
    kinds: Counter[str] = field(factory=Counter[str], init=False)
    families: Counter[str] = field(factory=Counter[str], init=False)
    units: Counter[str] = field(factory=Counter[str], init=False)
    seen: set[bytes] = field(factory=set[bytes], init=False)

    def add(self, items: list[Item[Any, Any]], reader: EntryReader | None) -> None:
        """Count some items."""
        for _, item in items:
            self.kinds["items"] += 1
            try:
                call = build_call(item)
            except Exception:  # noqa: BLE001  # a builder may raise anything: it is one item's
                self.kinds["invalid"] += 1
                continue
            kind = self._classify(call, reader)
            self.kinds[kind] += 1
            if kind == "calls":
                self.families[call.family] += 1
                self.units.update([call.unit] if call.unit else [])

    def _classify(self, call: Call[Any], reader: EntryReader | None) -> str:
        if not is_recorded(call):
            return "calls"
        try:
            key = build_entry_key(call, self.settings.account(call))
        except (MemoriesError, OSError):
            return "invalid"
        if reader is None:
            return "calls"
        row = reader.find(key.key)
        if row is not None and row.state in {"done", "unknown"}:
            return "paid" if row.state == "done" else "unknown"
        if reader.find_elsewhere(key.content, key.account) is not None:
            return "paid_elsewhere"
        if key.content in self.seen:
            return "repeated"
        self.seen.add(key.content)
        return "calls"

    def build_plan(self) -> Plan:
        """Build the plan from the counts."""
        limits, prices = self.settings.limits, dict[str, float]()
        for budget in self.settings.budgets:
            prices.update(budget.prices)
        names = ("items", "paid", "unknown", "paid_elsewhere", "repeated", "invalid", "calls")
        seconds = (count * limits.of(family).interval for family, count in self.families.items())
        points = None
        if prices and self.units.keys() <= prices.keys():
            points = sum(count * prices[unit] for unit, count in self.units.items())
        return Plan(
            **{name: self.kinds[name] for name in names},
            by_unit=dict(self.units),
            seconds=max(seconds, default=0.0),
            points=points,
        )
