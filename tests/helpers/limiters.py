"""Processes at a bucket, on a clock that is stepped from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import count

from attrs import define, field

from memories_async import Limit
from memories_async.limiter._limits import Bucket, Priority
from memories_async.limiter._rule import Answer, BucketState, Word, hear

BEAT = 1.25


def bucket(rate: float = 1.0, *, per: float = 1.0, family: str = "search", **more) -> Bucket:
    """A bucket of some account."""
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
    """One member: calls that wait, calls at work, and when it speaks next."""

    name: str
    waiting: list[int]
    busy: int = 0
    dies_at: float = float("inf")
    due: float = 0.0
    scarce: bool = False


@define(eq=False)
class Crowd:
    """Processes that keep to what the bucket tells them. *permits* is what the service would see."""

    limit: Limit
    processes: list[Process]
    call_seconds: float = 0.1
    hear: Callable[[BucketState, Word, Limit, float], tuple[BucketState, Answer]] = hear
    state: BucketState = field(factory=BucketState)
    now: float = 0.0
    permits: list[tuple[float, str, Priority]] = field(factory=list)
    most_busy: int = 0
    _events: list = field(factory=list)
    _order: Callable[[], int] = field(factory=lambda: count().__next__)

    def run(self, until: float = 1e6) -> None:
        """Let everybody speak when due, until nobody waits or *until* has come."""
        for process in self.processes:
            self._plan(process.due, process, "speak")
        while self._events and any(p.waiting != [0, 0] for p in self._alive()):
            self.now, _, process, what = heapq.heappop(self._events)
            if self.now > until:
                return
            if self.now < process.dies_at:
                self._act(process, what)

    def _act(self, process: Process, what: str) -> None:
        if what == "end":
            process.busy -= 1
            if process.scarce:
                self._speak(process)
        elif self.now >= process.due:
            self._speak(process)

    def _speak(self, process: Process) -> None:
        wants = (min(2, process.waiting[0]), min(2, process.waiting[1]))
        word = Word(member=process.name, busy=process.busy, wants=wants)
        self.state, answer = self.hear(self.state, word, self.limit, self.now)
        process.scarce = answer.scarce
        if answer.granted is not None:
            self.permits.append((self.now, process.name, answer.granted))
            process.waiting[answer.granted] -= 1
            process.busy += 1
            self._plan(self.now + self.call_seconds, process, "end")
        self.most_busy = max(self.most_busy, sum(p.busy for p in self._alive()))
        process.due = self.now + min(answer.again, BEAT)
        self._plan(process.due, process, "speak")

    def _plan(self, at: float, process: Process, what: str) -> None:
        heapq.heappush(self._events, (at, self._order(), process, what))

    def _alive(self) -> list[Process]:
        return [p for p in self.processes if self.now < p.dies_at]
