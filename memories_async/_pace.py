"""Pace: how fast an account may ask. Concurrency is a semaphore, the rate is even, without bursts.

The rate is a generic cell rate algorithm (GCRA) with no tolerance: one number, the time of the next
turn. It belongs to a lane (account and endpoint family), not to a client, a thread or an event
loop, so all clients of a process together keep it. The arithmetic is pure, the clock passed in.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from attrs import define, field, frozen
from attrs.validators import ge, gt

MARGIN = 0.02
"""Share by which turns are spaced wider than the limit asks, for jitter on the way to the server."""
SLOWEST = 16.0
"""How many times slower than its limit a lane gets at most, however often it is refused."""
RECOVERY = 0.9
"""What a served turn multiplies the slowness by, until the full rate is back."""


@frozen
class Limit:
    """*rate* turns every *per* seconds, evenly spaced, and *concurrency* of them at work at once."""

    rate: float = field(validator=gt(0))
    per: float = field(default=1.0, validator=gt(0))
    concurrency: int = field(default=64, kw_only=True, validator=ge(1))

    @property
    def interval(self) -> float:
        """Seconds between two turns."""
        return self.per / self.rate


@frozen(kw_only=True)
class Limits:
    """What an account may do, for each endpoint family; the documented figures by default.

    Source: the service's rate limit pages: searches, embeddings and captions one a second each.
    """

    search: Limit = Limit(1)
    captions: Limit = Limit(1)
    embeddings: Limit = Limit(1)

    def of(self, family: str) -> Limit:
        """Look up the limit of an endpoint family."""
        limit = getattr(self, family)
        assert isinstance(limit, Limit)
        return limit


@frozen(kw_only=True)
class Lane:
    """Where a call queues: whose account (a hash, never the key), and which family."""

    account: str
    family: str
    limit: Limit = field(eq=False)


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


class Pace(Protocol):
    """Who may send when. Everything is in seconds."""

    def turn(self, lane: Lane) -> Turn:
        """Wait in line for a turn, and hold a slot for as long as the context is open."""
        ...

    async def pause(self, lane: Lane, seconds: float) -> None:
        """Hold the whole lane back for *seconds*, and slow it down: the service said too fast."""
        ...


@frozen
class Spacing:
    """The state of a lane's rate. Pure."""

    next_at: float = 0.0
    slowness: float = 1.0

    def wait(self, now: float) -> float:
        """Seconds until the next turn."""
        return max(0.0, self.next_at - now)

    def taken(self, now: float, interval: float) -> Spacing:
        """The state once a turn was taken *now*."""
        gap = interval * self.slowness * (1 + MARGIN)
        return Spacing(max(now, self.next_at) + gap, max(1.0, self.slowness * RECOVERY))

    def paused(self, now: float, seconds: float) -> Spacing:
        """The state once the service refused a turn for its rate."""
        until = max(self.next_at, now + seconds)
        return Spacing(until, min(SLOWEST, self.slowness * 2))


@define(eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future[None]

    def wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # Its loop was closed under it: nobody waits there any more.
            return

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


@define(eq=False)
class _Queue:
    """One lane's line: who is first waits for the rate and a slot, the others wait to be first."""

    clock: Callable[[], float]
    spacing: Spacing = Spacing()
    busy: int = 0
    line: deque[_Waiter] = field(factory=deque[_Waiter])
    lock: threading.Lock = field(factory=threading.Lock)

    def try_take(self, limit: Limit, waiter: _Waiter | None) -> float | None:
        """Take a turn if it is *waiter*'s; otherwise seconds to wait, None until woken."""
        with self.lock:
            now = self.clock()
            if self.line and self.line[0].loop.is_closed():
                self.line.popleft()
            if self.line and self.line[0] is not waiter:
                return None
            if self.busy >= limit.concurrency:
                return None
            wait = self.spacing.wait(now)
            if wait > 0:
                return wait
            self.spacing = self.spacing.taken(now, limit.interval)
            self.busy += 1
            return 0.0

    def wake_first(self) -> None:
        """Let whoever is first look again."""
        with self.lock:
            first = self.line[0] if self.line else None
        if first is not None:
            first.wake()

    async def take(self, limit: Limit) -> None:
        """Wait in line, first come first served; a cancelled waiter leaves no trace."""
        if not self.line and self.try_take(limit, None) == 0.0:
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self.lock:
            self.line.append(waiter)
        try:
            while (wait := self.try_take(limit, waiter)) != 0.0:
                await asyncio.wait((waiter.woken,), timeout=wait)
                waiter.woken = loop.create_future()
        finally:
            with self.lock:
                self.line.remove(waiter)
            self.wake_first()

    def give_back(self) -> None:
        with self.lock:
            self.busy -= 1
        self.wake_first()


@frozen
class _InProcessTurn:
    queue: _Queue
    limit: Limit

    async def __aenter__(self) -> Self:
        await self.queue.take(self.limit)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.queue.give_back()


class InProcessPace:
    """The pace of one process: threads and event loops share it, processes do not."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[Lane, _Queue] = {}

    def turn(self, lane: Lane) -> Turn:
        """See `Pace.turn`."""
        return _InProcessTurn(self._queue(lane), lane.limit)

    async def pause(self, lane: Lane, seconds: float) -> None:
        """See `Pace.pause`."""
        queue = self._queue(lane)
        with queue.lock:
            queue.spacing = queue.spacing.paused(self._clock(), seconds)

    def forget(self) -> None:
        """Drop every lane: a forked child owns none of its parent's turns."""
        self._queues = {}

    def _queue(self, lane: Lane) -> _Queue:
        # Atomic: two threads that come at once get the same queue.
        return self._queues.get(lane) or self._queues.setdefault(lane, _Queue(self._clock))


in_process = InProcessPace()
"""The default of every client, so that two clients of one account keep one rate."""

os.register_at_fork(after_in_child=in_process.forget)
