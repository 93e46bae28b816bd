"""Processes that share a bucket, on a clock that is stepped from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import count

from attrs import define, field

from memories_async import Limit
from memories_async.limiter import Bucket, Priority
from memories_async.limiter._rule import BucketState, Request, step

BEAT = 1.25


def bucket(rate: float = 1.0, *, per: float = 1.0, family: str = "search", **more) -> Bucket:
    """Build a bucket of some account."""
    priority = more.pop("priority", Priority.INTERACTIVE)
    limit = Limit(rate, per=per, **more)
    return Bucket(account="f00d@http://127.0.0.1", family=family, limit=limit, priority=priority)


def busiest(times: Sequence[float], per: float = 1.0) -> int:
    """Count the most events in any window of *per* seconds, its end left out."""
    ordered, start, most = sorted(times), 0, 0
    for end, at in enumerate(ordered):
        while at - ordered[start] >= per:
            start += 1
        most = max(most, end - start + 1)
    return most


@define(eq=False)
class Process:
    """One member: its calls that wait, its calls at work, and when it asks next."""

    name: str
    waiting: list[int]
    """Interactive and batch calls."""
    busy: int = 0
    dies_at: float = float("inf")
    due: float = 0.0
    is_contended: bool = False


@define(eq=False)
class Crowd:
    """Processes that keep to the bucket's responses. `permits` is what the service would see."""

    limit: Limit
    processes: list[Process]
    call_seconds: float = 0.1
    state: BucketState = field(factory=BucketState)
    now: float = 0.0
    permits: list[tuple[float, str, Priority]] = field(factory=list)
    most_busy: int = 0
    _events: list = field(factory=list)
    _order: Callable[[], int] = field(factory=lambda: count().__next__)

    def run(self, until: float = 1e6) -> None:
        """Let each process ask when it is due, until nobody waits or *until* has come."""
        for process in self.processes:
            self._plan(process.due, process, "ask")
        while self._events and any(p.waiting != [0, 0] for p in self._alive()):
            self.now, _, process, what = heapq.heappop(self._events)
            if self.now > until:
                return
            if self.now < process.dies_at:
                self._act(process, what)

    def _act(self, process: Process, what: str) -> None:
        if what == "end":
            process.busy -= 1
            if process.is_contended:
                self._ask(process)
        elif self.now >= process.due:
            self._ask(process)

    def _ask(self, process: Process) -> None:
        wants = (0, *(min(2, count) for count in process.waiting))
        request = Request(member=process.name, busy=process.busy, wants=wants)
        self.state, response = step(self.state, request, self.limit, self.now)
        process.is_contended = response.is_contended
        if response.granted is not None:
            self.permits.append((self.now, process.name, response.granted))
            process.waiting[response.granted - 1] -= 1
            process.busy += 1
            self._plan(self.now + self.call_seconds, process, "end")
        self.most_busy = max(self.most_busy, sum(p.busy for p in self._alive()))
        process.due = self.now + min(response.again, BEAT)
        self._plan(process.due, process, "ask")

    def _plan(self, at: float, process: Process, what: str) -> None:
        heapq.heappush(self._events, (at, self._order(), process, what))

    def _alive(self) -> list[Process]:
        return [p for p in self.processes if self.now < p.dies_at]
