"""A store of shared buckets in this process, and a limiter over it."""

from __future__ import annotations

import asyncio
import time

from attrs import define, field

from memories_async.limiter._rule import BucketState, step
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreUnavailableError
from memories_async.limiter._store_worker import StoreWorker


@define(eq=False)
class Memory:
    """A store in this process, which can be down, far away, or locked by another process."""

    down: str | None = None
    away: float = 0.0
    is_local: bool = False
    is_in_use: bool = False
    states: dict = field(factory=dict)
    requests: list = field(factory=list)

    def exchange(self, where, request, *, patience):
        if self.down is not None:
            raise StoreUnavailableError(self.down)
        if self.is_in_use:
            return None
        time.sleep(self.away / 2)
        now = time.monotonic()
        self.requests.append(request)
        state = self.states.get(where.name, BucketState.create(where.limit, now))
        self.states[where.name], response = step(state, request, where.limit, now)
        time.sleep(self.away / 2)
        return now, response

    def read_all(self):
        return time.monotonic(), self.states

    def forget(self):
        self.requests.clear()


class MemoryLimiter(SharedLimiter):
    """A shared limiter over that store."""

    def __init__(self, store):
        self._account, self._worker = None, StoreWorker(store)


async def until(is_so) -> None:
    """Wait until the worker's thread has come so far."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  # a thread does it
            await asyncio.sleep(0.002)
