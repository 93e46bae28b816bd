"""Computes what a batch would send and cost, without sending anything. Runs in a thread."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call, identify
from memories_async._protocol.flow import Flow
from memories_async._protocol.reply import Reply
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
                built = build_call(item)
            except Exception:  # noqa: BLE001  # a builder may raise anything: it is one item's
                self.kinds["invalid"] += 1
                continue
            if isinstance(built, Flow):
                self._add_flow(built, reader)
            else:
                self._count(built, self._classify(built, reader))

    def _add_flow(self, flow: Flow[Any], reader: EntryReader | None) -> None:
        """Count the upload, if it would be sent, and the call, which decides about the item."""
        kind = self._classify(flow.upload, reader)
        if kind not in {"calls", "repeated", "paid"}:
            self.kinds[kind] += 1  # without the upload there is no call
            return
        if kind == "calls":
            self._count(flow.upload, kind)
            self.kinds["uploads"] += 1
        # The id of a new upload is not known yet; one of its own lets equal calls be counted once.
        upload_id = identify(flow.upload)[0].hex()
        if kind == "paid" and reader is not None:
            key = build_entry_key(flow.upload, self.settings.account(flow.upload)).key
            row = reader.find(key)
            if row is not None and row.body is not None:
                reply = Reply(status=row.status or 200, body=row.body)
                with suppress(MemoriesError):
                    upload_id = flow.read_id(flow.upload.read(reply))
        call = flow.build_call(upload_id)
        self._count(call, self._classify(call, reader))

    def _count(self, call: Call[Any], kind: str) -> None:
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
        names = (
            "items",
            "paid",
            "unknown",
            "paid_elsewhere",
            "repeated",
            "invalid",
            "calls",
            "uploads",
        )
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
