"""RateLimiter: who may send when, for the whole account. What every limiter promises, and the default one.

A permit is a place in an evenly spaced rate and a slot among those at work at once. Both belong to a
bucket (account and endpoint family), not to a client, a thread or an event loop. How the permits are
counted out is in `spacing`; `FileLimiter` and `RedisLimiter` share buckets between processes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self
from weakref import WeakSet

from attrs import define, field, frozen

from memories_async.limiter._gcra import Spacing
from memories_async.limiter._limits import Bucket, Limit, Limits, Priority
from memories_async.limiter._wait_queue import Line, Waiter


class Permit(Protocol):
    """A permit that was taken: the slot is given back when the call has ended."""

    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object: ...

    def renew_if_late(self) -> Awaitable[None] | None:
        """Return None if the request may be sent now, else what waits until it may.

        The transport calls this before it sends the first byte: a request that was held up after
        its permit, by a connection for instance, is spaced again.
        """
        ...

    @property
    def fault(self) -> str | None:
        """Why the permit came from a slow rate of this process's own, or None."""
        ...


class RateLimiter(Protocol):
    """Who may send when. Everything is in seconds."""

    def permit(self, bucket: Bucket) -> Permit:
        """Wait in line for a permit, and hold a slot for as long as the context is open."""
        ...

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """Hold the whole bucket back for *seconds*, and slow it down: the service said too fast."""
        ...


@frozen(kw_only=True)
class BucketStatus:
    """How a bucket stands."""

    account: str
    family: str
    wait: float
    """Seconds until the next permit."""
    slowness: float
    """How many times slower than its limit the bucket goes, having been refused."""
    busy: int
    """Calls at work."""
    waiting: int
    """Calls of this process, or else processes, in line."""


@frozen(kw_only=True)
class LimiterStatus:
    """What a limiter is, for people: `memories-async doctor` shows it."""

    store: str
    """`process`, `file` or `redis`."""
    where: str
    shared_by: str
    fault: str | None = None
    """Why the store cannot be used."""
    buckets: tuple[BucketStatus, ...] = ()


@define(eq=False)
class _Queue:
    """One bucket's line: who is first waits for the rate and a slot, the others wait to be first."""

    clock: Callable[[], float]
    spacing: Spacing = field(factory=Spacing)
    busy: int = 0
    line: Line = field(factory=Line)
    lock: threading.Lock = field(factory=threading.Lock)

    def try_take(self, limit: Limit, waiter: Waiter | None) -> tuple[bool, float | None]:
        """Take a permit if it is *waiter*'s: true, and when it began.

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

    async def take(self, bucket: Bucket) -> float | None:
        """Wait in line; returns when the permit began. A cancelled waiter leaves no trace."""
        taken, begun = self.try_take(bucket.limit, None)
        if taken:
            return begun
        waiter = Waiter(get_running_loop(), bucket.priority)
        with self.lock:
            self.line.join(waiter)
        try:
            while True:
                taken, at = self.try_take(bucket.limit, waiter)
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
        """Hold the next permit back where a request left late."""
        now = self.clock()
        excess = now - begun - limit.slack
        if excess > 0:
            with self.lock:
                self.spacing = self.spacing.delayed(now, excess, limit)


@define(eq=False)
class _InProcessPermit:
    queue: _Queue
    bucket: Bucket
    begun: float | None = None
    fault: str | None = None

    async def __aenter__(self) -> Self:
        self.begun = await self.queue.take(self.bucket)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.queue.give_back()

    def renew_if_late(self) -> Awaitable[None] | None:
        if self.begun is not None:
            begun, self.begun = self.begun, None
            self.queue.left(begun, self.bucket.limit)
        return None


class InProcessLimiter:
    """The limiter of one process: threads and event loops share it, processes do not."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[Bucket, _Queue] = {}
        _all.add(self)

    def permit(self, bucket: Bucket) -> Permit:
        """See `RateLimiter.permit`."""
        return _InProcessPermit(self._queue(bucket), bucket)

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """See `RateLimiter.pause`."""
        queue = self._queue(bucket)
        with queue.lock:
            queue.spacing = queue.spacing.paused(self._clock(), seconds)

    def describe(self) -> LimiterStatus:
        """Say what is in force."""
        now = self._clock()
        buckets = tuple(
            BucketStatus(
                account=bucket.account,
                family=bucket.family,
                wait=queue.spacing.wait(now),
                slowness=queue.spacing.slowness,
                busy=queue.busy,
                waiting=len(queue.line),
            )
            for bucket, queue in [*self._queues.items()]
        )
        return LimiterStatus(
            store="process",
            where=f"process {os.getpid()}",
            shared_by="this process",
            buckets=buckets,
        )

    def forget(self) -> None:
        """Drop every bucket: a forked child owns none of its parent's permits."""
        self._queues = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_default, ()) if self is in_process else (InProcessLimiter, ())

    def _queue(self, bucket: Bucket) -> _Queue:
        # Atomic: two threads that come at once get the same queue.
        return self._queues.get(bucket) or self._queues.setdefault(bucket, _Queue(self._clock))


_all: WeakSet[InProcessLimiter] = WeakSet()


def _forget() -> None:
    for limiter in _all:
        limiter.forget()


def _default() -> InProcessLimiter:
    return in_process


in_process = InProcessLimiter()
"""The default of every client, so that two clients of one account keep one rate."""

if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_forget)

__all__ = [
    "Bucket",
    "InProcessLimiter",
    "Limit",
    "LimiterStatus",
    "Limits",
    "Permit",
    "Priority",
    "RateLimiter",
    "in_process",
]
