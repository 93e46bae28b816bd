"""Pace: who may send when, for the whole account. What every pace promises, and the default one.

A turn is a place in an evenly spaced rate and a slot among those at work at once. Both belong to a
lane (account and endpoint family), not to a client, a thread or an event loop. How the turns are
counted out is in `spacing`; `FilePace` and `RedisPace` share lanes between processes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from asyncio import get_running_loop
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self
from weakref import WeakSet

from attrs import define, field, frozen

from memories_async.limiter._gcra import Spacing
from memories_async.limiter._limits import Lane, Limit, Limits, Priority
from memories_async.limiter._wait_queue import Line, Waiter


class Turn(Protocol):
    """A turn that was taken: the slot is given back when the call has ended."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object: ...

    def left(self) -> None:
        """Note that the request leaves now: what connecting took delays the next turn."""
        ...

    @property
    def fault(self) -> str | None:
        """Why the turn came from a slow rate of this process's own, or None."""
        ...


class Pace(Protocol):
    """Who may send when. Everything is in seconds."""

    def turn(self, lane: Lane) -> Turn:
        """Wait in line for a turn, and hold a slot for as long as the context is open."""
        ...

    async def pause(self, lane: Lane, seconds: float) -> None:
        """Hold the whole lane back for *seconds*, and slow it down: the service said too fast."""
        ...


@frozen(kw_only=True)
class LaneInForce:
    """How a lane stands."""

    account: str
    family: str
    wait: float
    """Seconds until the next turn."""
    slowness: float
    """How many times slower than its limit the lane goes, having been refused."""
    busy: int
    """Calls at work."""
    waiting: int
    """Calls of this process, or else processes, in line."""


@frozen(kw_only=True)
class PaceInForce:
    """What a pace is, for people: `memories-async doctor` shows it."""

    store: str
    """`process`, `file` or `redis`."""
    where: str
    shared_by: str
    fault: str | None = None
    """Why the store cannot be used."""
    lanes: tuple[LaneInForce, ...] = ()


@define(eq=False)
class _Queue:
    """One lane's line: who is first waits for the rate and a slot, the others wait to be first."""

    clock: Callable[[], float]
    spacing: Spacing = field(factory=Spacing)
    busy: int = 0
    line: Line = field(factory=Line)
    lock: threading.Lock = field(factory=threading.Lock)

    def try_take(self, limit: Limit, waiter: Waiter | None) -> tuple[bool, float | None]:
        """Take a turn if it is *waiter*'s: true, and when it began.

        Otherwise false, and how many seconds to wait; None until woken.
        """
        with self.lock:
            now = self.clock()
            if self.line and self.line.first(now) is not waiter:
                return False, None
            if self.busy >= limit.concurrency:
                return False, None
            spacing = self.spacing
            if spacing.next_at > now:
                return False, spacing.next_at - now
            self.spacing = after = spacing.taken(now, limit)
            self.busy += 1
            if waiter is not None:
                self.line.passed(waiter)
            return True, after.next_at - limit.gap * spacing.slowness

    async def take(self, lane: Lane) -> float | None:
        """Wait in line; returns when the turn began. A cancelled waiter leaves no trace."""
        taken, begun = self.try_take(lane.limit, None)
        if taken:
            return begun
        waiter = Waiter(get_running_loop(), lane.priority)
        with self.lock:
            self.line.join(waiter)
        try:
            while True:
                taken, at = self.try_take(lane.limit, waiter)
                if taken:
                    return at
                await waiter.sleep(at)
        finally:
            with self.lock:
                self.line.leave(waiter)
            self.wake_first()

    def wake_first(self) -> None:
        """Let whoever is first look again."""
        if not self.line:
            return
        with self.lock:
            now = self.clock()
            first = self.line.first(now)
        if first is not None:
            first.wake(now)

    def give_back(self) -> None:
        """Free a slot."""
        with self.lock:
            self.busy -= 1
        self.wake_first()

    def left(self, begun: float, limit: Limit) -> None:
        """Hold the next turn back where a request left late."""
        now = self.clock()
        excess = now - begun - limit.slack
        if excess > 0:
            with self.lock:
                self.spacing = self.spacing.delayed(now, excess, limit)


@define(eq=False)
class _InProcessTurn:
    queue: _Queue
    lane: Lane
    begun: float | None = None
    fault: str | None = None

    async def __aenter__(self) -> Self:
        self.begun = await self.queue.take(self.lane)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.queue.give_back()

    def left(self) -> None:
        if self.begun is not None:
            begun, self.begun = self.begun, None
            self.queue.left(begun, self.lane.limit)


class InProcessPace:
    """The pace of one process: threads and event loops share it, processes do not."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[Lane, _Queue] = {}
        _all.add(self)

    def turn(self, lane: Lane) -> Turn:
        """See `Pace.turn`."""
        return _InProcessTurn(self._queue(lane), lane)

    async def pause(self, lane: Lane, seconds: float) -> None:
        """See `Pace.pause`."""
        queue = self._queue(lane)
        with queue.lock:
            queue.spacing = queue.spacing.paused(self._clock(), seconds)

    def describe(self) -> PaceInForce:
        """Say what is in force."""
        now = self._clock()
        lanes = tuple(
            LaneInForce(
                account=lane.account,
                family=lane.family,
                wait=queue.spacing.wait(now),
                slowness=queue.spacing.slowness,
                busy=queue.busy,
                waiting=len(queue.line),
            )
            for lane, queue in [*self._queues.items()]
        )
        return PaceInForce(
            store="process", where=f"process {os.getpid()}", shared_by="this process", lanes=lanes
        )

    def forget(self) -> None:
        """Drop every lane: a forked child owns none of its parent's turns."""
        self._queues = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_default, ()) if self is in_process else (InProcessPace, ())

    def _queue(self, lane: Lane) -> _Queue:
        # Atomic: two threads that come at once get the same queue.
        return self._queues.get(lane) or self._queues.setdefault(lane, _Queue(self._clock))


_all: WeakSet[InProcessPace] = WeakSet()


def _forget() -> None:
    for pace in _all:
        pace.forget()


def _default() -> InProcessPace:
    return in_process


in_process = InProcessPace()
"""The default of every client, so that two clients of one account keep one rate."""

if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_forget)

__all__ = [
    "InProcessPace",
    "Lane",
    "Limit",
    "Limits",
    "Pace",
    "PaceInForce",
    "Priority",
    "Turn",
    "in_process",
]
