"""The line of one process in front of a bucket: who waits here, on whichever event loop and thread.

A waiter that is woken takes its permit itself, where it runs. So no permit is ever on its way to a
waiter that was cancelled meanwhile, or whose loop has stopped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from attrs import define, field

from memories_async.limiter._gcra import choose, streak_after
from memories_async.limiter._limits import Priority

STALLED = 0.25
"""Seconds after being woken in which a waiter that does not react is passed over."""
LOOK = 5.0
"""Seconds after which a waiter looks again by itself, having been passed over."""

_Waiters = OrderedDict["Waiter", None]


@define(eq=False)
class Waiter:
    """A call in line."""

    loop: asyncio.AbstractEventLoop
    priority: Priority
    woken_at: float | None = None
    _woken: asyncio.Future[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Be ready to be woken."""
        self._woken = self.loop.create_future()

    def is_there(self, now: float) -> bool:
        """Tell whether it could take a permit: its loop runs, and reacts."""
        return self.loop.is_running() and (self.woken_at is None or now - self.woken_at < STALLED)

    def wake(self, now: float) -> None:
        """Have it look again; from any thread."""
        if self.woken_at is None:
            self.woken_at = now
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            # Its loop was closed under it: nobody waits there any more.
            return

    async def sleep(self, seconds: float | None) -> None:
        """Wait until woken, for *seconds* at most."""
        timer = self.loop.call_later(LOOK if seconds is None else min(seconds, LOOK), self._wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken, self.woken_at = self.loop.create_future(), None

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)


@define(eq=False)
class Line:
    """Waiters by priority, first come first served in each. The caller holds the lock."""

    streak: int = 0
    _lines: tuple[_Waiters, _Waiters] = field(factory=lambda: (_Waiters(), _Waiters()))

    def __len__(self) -> int:
        """Count the waiters."""
        return len(self._lines[0]) + len(self._lines[1])

    def join(self, waiter: Waiter) -> None:
        """Line up."""
        self._lines[waiter.priority][waiter] = None

    def leave(self, waiter: Waiter) -> None:
        """Give up the place, if it is still there."""
        self._lines[waiter.priority].pop(waiter, None)

    def count(self, priority: Priority, now: float) -> int:
        """Count who could take a permit of that *priority*, up to two."""
        found = 0
        for waiter in self._lines[priority]:
            found += waiter.is_there(now)
            if found > 1:
                break
        return found

    def first(self, now: float) -> Waiter | None:
        """Find whose permit is next."""
        heads = [self.head(priority, now) for priority in Priority]
        chosen = choose(self.streak, interactive=heads[0] is not None, batch=heads[1] is not None)
        return None if chosen is None else heads[chosen]

    def head(self, priority: Priority, now: float) -> Waiter | None:
        """Find who is first in a priority."""
        return next((w for w in self._lines[priority] if w.is_there(now)), None)

    def passed(self, waiter: Waiter) -> None:
        """Let *waiter* out of the line with its permit."""
        self.leave(waiter)
        batch = bool(self._lines[Priority.BATCH])
        self.streak = streak_after(self.streak, waiter.priority, batch=batch)
