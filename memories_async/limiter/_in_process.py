"""InProcessLimiter: one rate for all clients, threads and event loops of a process."""

from __future__ import annotations

import os
import threading
import time
import warnings
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Self

from attrs import define, field

from memories_async._instances import Instances
from memories_async.limiter._gcra import Gcra
from memories_async.limiter._limits import (
    LATE,
    Bucket,
    BucketStatus,
    LimiterStatus,
    Permit,
    Priority,
)
from memories_async.limiter._wait_queue import Waiter, WaitQueue


@define(eq=False)
class _LocalBucket:
    """The state of one bucket. Who is first in the queue waits for the rate and a slot."""

    clock: Callable[[], float]
    gcra: Gcra = field(factory=Gcra)
    busy: int = 0
    """Calls at work: slots that are taken."""
    permits: int = 0
    """Ticks so far."""
    queue: WaitQueue = field(factory=WaitQueue)
    lock: threading.Lock = field(factory=threading.Lock)

    def try_take(
        self, permit: _InProcessPermit, priority: Priority, waiter: Waiter | None
    ) -> float | None:
        """Give *permit* its tick and slot, and return None; else the seconds to wait."""
        limit, takes_slot = permit.where.limit, priority is not LATE
        with self.lock:
            now = self.clock()
            if self.queue.size and self.queue.first(now) is not waiter:
                return inf
            if takes_slot and self.busy >= limit.concurrency:
                return inf
            if self.gcra.next_at > now:
                return self.gcra.next_at - now
            self.gcra = gcra = self.gcra.take(now, limit)
            self.busy += takes_slot
            self.permits += 1
            permit.tick, permit.number = gcra.latest, self.permits
            if waiter is not None:
                self.queue.serve(waiter)
            return None

    async def wait(self, permit: _InProcessPermit, priority: Priority) -> None:
        """Wait for a permit. A waiter that is cancelled leaves nothing behind."""
        waiter = Waiter(get_running_loop(), priority)
        with self.lock:
            self.queue.join(waiter)
        try:
            while (seconds := self.try_take(permit, priority, waiter)) is not None:
                await waiter.sleep(seconds)
        finally:
            with self.lock:
                self.queue.leave(waiter)
            self.wake_first()

    def wake_first(self) -> None:
        """Let the first waiter look for its permit."""
        with self.lock:
            now = self.clock()
            first = self.queue.first(now)
        if first is not None:
            first.wake(now)


@define(eq=False)
class _InProcessPermit:
    bucket: _LocalBucket
    where: Bucket
    tick: float = 0.0
    number: int = 0
    fault: str | None = None

    async def __aenter__(self) -> Self:
        priority = self.where.priority
        if self.bucket.try_take(self, priority, None) is not None:
            await self.bucket.wait(self, priority)
        return self

    async def __aexit__(self, *_: object) -> None:
        bucket = self.bucket
        with bucket.lock:
            bucket.busy -= 1
        if bucket.queue.size:
            bucket.wake_first()

    def renew_if_late(self) -> Awaitable[None] | None:
        bucket = self.bucket
        if bucket.clock() - self.tick <= self.where.limit.max_delay:
            return None
        with bucket.lock:
            if self.number == bucket.permits:
                # Nobody had a tick since: that of this request is given back.
                bucket.gcra = bucket.gcra.give_back()
        return bucket.wait(self, LATE)


class InProcessLimiter:
    """Rate limiter of one process: its threads and event loops share it, other processes do not."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[Bucket, _LocalBucket] = {}
        _limiters.add(self)

    def permit(self, bucket: Bucket) -> Permit:
        """See `RateLimiter.permit`."""
        return _InProcessPermit(self._find(bucket), bucket)

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """See `RateLimiter.pause`."""
        local = self._find(bucket)
        with local.lock:
            local.gcra = local.gcra.pause(self._clock(), seconds)

    def describe(self) -> LimiterStatus:
        """Return the state of every bucket."""
        now = self._clock()
        buckets = tuple(
            BucketStatus(
                account=bucket.account,
                family=bucket.family,
                wait=local.gcra.wait(now),
                slowness=local.gcra.slowness,
                busy=local.busy,
                waiting=local.queue.size,
            )
            for bucket, local in [*self._buckets.items()]
        )
        return LimiterStatus(
            store="process",
            where=f"process {os.getpid()}",
            shared_by="this process",
            buckets=buckets,
        )

    def forget(self) -> None:
        """Drop every bucket: a forked child holds none of its parent's permits."""
        self._buckets = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (os.getpid(), self is in_process)

    def _find(self, bucket: Bucket) -> _LocalBucket:
        # Atomic: two threads that come at once get the same one.
        return self._buckets.get(bucket) or self._buckets.setdefault(
            bucket, _LocalBucket(self._clock)
        )


_limiters = Instances[InProcessLimiter](in_child=InProcessLimiter.forget)


def _restore(process: int, is_default: bool) -> InProcessLimiter:  # pickled
    if process != os.getpid():
        warnings.warn(
            "a limiter of one process was unpickled in another: each keeps the rate by itself; "
            "use FileLimiter() or RedisLimiter(url)",
            RuntimeWarning,
            stacklevel=2,
        )
    return in_process if is_default else InProcessLimiter()


in_process: InProcessLimiter = InProcessLimiter()
"""The limiter that all clients of a process share where no other is chosen."""
