"""FIFO queue of the waiters for one bucket, across the event loops and threads of this process.

A waiter that is woken takes its permit itself, on its own loop. So no permit is lost on its way to a
waiter that was cancelled meanwhile, or whose loop has stopped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import islice

from attrs import define, field

from memories_async.limiter._gcra import choose, count_streak
from memories_async.limiter._limits import BATCH, PRIORITIES, Priority

STALLED = 0.25
"""Seconds after which a waiter that was woken and did not react is passed over."""
RECHECK = 5.0
"""Seconds after which a waiter that was passed over looks again by itself."""

_Waiters = OrderedDict["Waiter", None]


@define(eq=False)
class Waiter:
    """A call that waits for a permit."""

    loop: asyncio.AbstractEventLoop
    priority: Priority
    woken_at: float | None = None
    _woken: asyncio.Future[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Create the future that `wake` resolves."""
        self._woken = self.loop.create_future()

    def is_responsive(self, now: float) -> bool:
        """Whether its loop runs and reacts, so that it could take a permit."""
        return self.loop.is_running() and (self.woken_at is None or now - self.woken_at < STALLED)

    def wake(self, now: float) -> None:
        """Have it look for its permit; from any thread."""
        if self.woken_at is None:
            self.woken_at = now
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # Its loop was closed: nobody waits there any more.
            return

    async def sleep(self, seconds: float | None) -> None:
        """Wait until woken, for *seconds* at most."""
        timeout = RECHECK if seconds is None else min(seconds, RECHECK)
        timer = self.loop.call_later(timeout, self._wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken, self.woken_at = self.loop.create_future(), None

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


@define(eq=False)
class WaitQueue:
    """Waiters by priority, first come, first served in each. The caller holds the lock."""

    size: int = 0
    """How many wait."""
    streak: int = 0
    _queues: tuple[_Waiters, ...] = field(factory=lambda: tuple(_Waiters() for _ in PRIORITIES))

    def join(self, waiter: Waiter) -> None:
        """Add *waiter* at the end."""
        self._queues[waiter.priority][waiter] = None
        self.size += 1

    def leave(self, waiter: Waiter) -> None:
        """Remove *waiter*, if it is still there."""
        if waiter in self._queues[waiter.priority]:
            del self._queues[waiter.priority][waiter]
            self.size -= 1

    def count(self, priority: Priority, now: float) -> int:
        """Count the responsive waiters of a priority, up to two."""
        responsive = (1 for waiter in self._queues[priority] if waiter.is_responsive(now))
        return sum(islice(responsive, 2))

    def first(self, now: float) -> Waiter | None:
        """Find the waiter that is served next."""
        heads = [
            next((waiter for waiter in queue if waiter.is_responsive(now)), None)
            for queue in self._queues
        ]
        chosen = choose(self.streak, heads)
        return None if chosen is None else heads[chosen]

    def serve(self, waiter: Waiter) -> None:
        """Remove *waiter*, which has its permit."""
        self.leave(waiter)
        batch_waits = bool(self._queues[BATCH])
        self.streak = count_streak(self.streak, waiter.priority, batch_waits=batch_waits)
