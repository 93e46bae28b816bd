"""Speaks for this process with a shared store, so that many calls need few exchanges.

A call asks a local store itself where nobody waits before it. All else is done by one thread: it
asks for the ticks of waiting calls, one at a time, renews the leases, and ends when it has nothing
to do. While the store cannot be used, calls go on at a slow rate of this process's own.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from math import inf
from weakref import WeakValueDictionary

from attrs import evolve

from memories_async._instances import Instances
from memories_async.events import logger
from memories_async.limiter._bucket_client import BucketClient, Reservation
from memories_async.limiter._gcra import MAX_SLOWNESS
from memories_async.limiter._limits import Bucket, Limit, Priority
from memories_async.limiter._rule import (
    HEARTBEAT,
    MAX_LEAD,
    BucketState,
    Request,
    Response,
    step,
)
from memories_async.limiter._store import BucketStore, StoreUnavailableError
from memories_async.limiter._wait_queue import Waiter

RETRY = 2.0
"""Seconds between two attempts to use a store that is unavailable."""
LINGER = 10.0
"""Seconds for which the idle thread waits for further calls."""
CLOSING = 1.0
"""Seconds at most that the end of the process waits for slots to be given back."""
PATIENCE = 1.0
"""Seconds at most that the thread waits for others to release the store."""
AHEAD = 0.02
"""Seconds that the thread asks ahead of time, beside the time that an exchange takes."""
WAKE_UP = 0.003
"""Seconds from the response to the request, on a machine that is not busy."""


def slow_down(limit: Limit) -> Limit:
    """The limit without a store: sixteen processes that cannot see each other stay within it."""
    return evolve(limit, rate=limit.rate / MAX_SLOWNESS)


class StoreWorker:
    """All of its state is guarded by one condition, which the thread releases while it asks."""

    def __init__(self, store: BucketStore) -> None:
        self.store = store
        self._begin()
        _workers.add(self)

    def _begin(self) -> None:
        self._cond = threading.Condition()
        self._member = secrets.token_hex(8)
        self._clients: dict[Bucket, BucketClient] = {}
        self._alone: dict[Bucket, BucketState] = {}
        self._thread: threading.Thread | None = None
        self._wakes_at = inf
        self._is_asking = self._is_closing = False
        self._lag = self._way_back = self._retry_at = 0.0
        self.fault: str | None = None

    async def reserve(self, bucket: Bucket, priority: Priority) -> Reservation:
        """Wait for a tick, and a slot unless the call is late. A cancelled waiter leaves no trace."""
        with self._cond:
            client = self._find_client(bucket)
            reservation = self._take_at_once(client, priority)
            if reservation is not None:
                self._rouse(client)
                return reservation
            waiter = Waiter(asyncio.get_running_loop(), priority)
            client.queue.join(waiter)
        try:
            while True:
                with self._cond:
                    reservation = client.take(waiter, time.monotonic())
                    if reservation is not None:
                        return reservation
                    self._rouse(client)
                await waiter.sleep(None)
        finally:
            with self._cond:
                client.queue.leave(waiter)
                self._rouse(client)

    async def renew(self, bucket: Bucket, reservation: Reservation, late: float) -> Reservation:
        """Exchange the tick of a request that is *late* seconds too late for one that is on time."""
        with self._cond:
            client = self._find_client(bucket)
        try:
            while late > 0:
                with self._cond:
                    # Only the latest tick can be given back.
                    if abs(reservation.number) > abs(client.unused):
                        client.unused = reservation.number
                reservation = await self.reserve(bucket, Priority.LATE)
                now = time.monotonic()
                late = reservation.compute_lateness(bucket.limit, now)
                if late > 0:
                    # A machine that wakes a waiter too late again gets its next tick further ahead.
                    # By a gap at most: it delays all processes, and a missed tick costs a gap.
                    client.delay = min(MAX_LEAD, bucket.limit.gap, 2 * (now - reservation.tick))
        finally:
            # A delay that outlives its request costs the bucket time at each tick.
            client.delay = 0.0
        return reservation

    def finish(self, bucket: Bucket) -> None:
        """Give a slot back."""
        with self._cond:
            client = self._find_client(bucket)
            client.busy -= 1
            self._rouse(client)

    def pause(self, bucket: Bucket, seconds: float) -> None:
        """Pause the bucket for every process."""
        with self._cond:
            client = self._find_client(bucket)
            client.pause(seconds, time.monotonic())
            self._rouse(client)

    def forget(self) -> None:
        """Begin anew in a forked child, which holds none of its parent's permits."""
        self.store.forget()
        self._begin()

    def close(self) -> None:
        """Give every slot back before the process ends."""
        with self._cond:
            self._is_closing = True
            if self._thread is None:
                return
            for client in self._clients.values():
                client.busy, client.has_news = 0, client.told_busy > 0
                self._rouse(client)
            self._cond.wait_for(
                lambda: not any(client.told_busy for client in self._clients.values()), CLOSING
            )

    def _find_client(self, bucket: Bucket) -> BucketClient:
        client = self._clients.get(bucket)
        if client is None:
            client = self._clients[bucket] = BucketClient(bucket)
        elif client.bucket.limit is not bucket.limit:
            client.bucket = bucket
        return client

    def _take_at_once(self, client: BucketClient, priority: Priority) -> Reservation | None:
        """Ask a local store without the thread, if nobody waits and the store is free."""
        is_ready = self.store.is_local and not self._is_asking and self.fault is None
        if not is_ready or client.queue.size or client.reservation is not None:
            return None
        now = time.monotonic()
        request = client.build_request(self._member, now, lead=0.0, ready_in=0.0, asks=priority)
        try:
            answer = self.store.exchange(client.bucket, request, patience=0.0)
        except StoreUnavailableError as error:
            answer = None
            self._fail(str(error))
        if answer is None:
            client.take_back(request)
            return None
        client.receive(request, answer[1], at=answer[0], fault=None)
        return client.pop_reservation()

    def _rouse(self, client: BucketClient) -> None:
        """Have the thread look at *client* in time; starts the thread if there is none."""
        if self._thread is None:
            self._wakes_at = -inf
            self._thread = threading.Thread(target=self._run, name="memories-limiter", daemon=True)
            self._thread.start()
        elif client.next_request_at(time.monotonic()) < self._wakes_at or client.reservation:
            self._cond.notify_all()

    def _run(self) -> None:
        while (task := self._wait_for_task()) is not None:
            client, request = task
            asked_at = time.monotonic()
            at, response, fault = self._ask(client.bucket, request, asked_at)
            now = time.monotonic()
            with self._cond:
                self._is_asking = False
                if fault is None:
                    self._measure(now - asked_at, now - at)
                client.receive(request, response, at=at, fault=fault)
                self._cond.notify_all()

    def _measure(self, took: float, way_back: float) -> None:
        """Note how long an exchange took: the next tick is asked for so much earlier.

        A long one is remembered for some exchanges. A slow way back moves the ticks of all
        processes, so it counts only if it is slow each time.
        """
        self._lag = max(took, 0.9 * self._lag)
        self._way_back = min(way_back, 0.8 * self._way_back + 0.2 * way_back)

    def _wait_for_task(self) -> tuple[BucketClient, Request] | None:
        """Wait until a bucket needs an exchange; None when none did for a while."""
        idle_since, cond = time.monotonic(), self._cond
        with cond:
            while self._thread is threading.current_thread():
                now, lead = time.monotonic(), min(MAX_LEAD, AHEAD + self._lag)
                look_at = min((client.offer(now) for client in self._clients.values()), default=inf)
                plans = [(client.next_request_at(now), client) for client in self._clients.values()]
                at, client = min(plans, key=lambda plan: plan[0], default=(inf, None))
                if client is not None and at - lead <= now:
                    self._is_asking, self._wakes_at = True, -inf
                    ready_in = 0.0 if self.store.is_local else self._way_back + WAKE_UP
                    request = client.build_request(self._member, now, lead=lead, ready_in=ready_in)
                    return client, request
                wakes_at = min(look_at, at - lead)
                if wakes_at < inf:
                    idle_since = now
                elif now - idle_since >= LINGER:
                    self._thread = None
                    return None
                # A call under way that ends soon finds the next look early enough for its slot.
                due = (client.return_at for client in self._clients.values())
                look_again = min((at for at in due if at > now), default=now + HEARTBEAT)
                self._wakes_at = min(wakes_at, look_again)
                if not cond.wait(max(0.0, self._wakes_at - now)):
                    self._lag = max(self._lag, time.monotonic() - self._wakes_at)
            return None

    def _ask(
        self, bucket: Bucket, request: Request, now: float
    ) -> tuple[float, Response, str | None]:
        if self.fault is None or now >= self._retry_at:
            try:
                answer = self.store.exchange(bucket, request, patience=PATIENCE)
            except StoreUnavailableError as error:
                self._fail(str(error))
            else:
                if answer is not None:
                    if self.fault is not None:
                        logger.warning("the shared limiter can be used again, at its full rate")
                        self.fault = None
                        self._alone.clear()
                    return *answer, None
                self._fail("another process does not release the store")
        return time.monotonic(), self._ask_alone(bucket, request), self.fault

    def _ask_alone(self, bucket: Bucket, request: Request) -> Response:
        """Respond without the store; ticks of this slow rate have negative numbers."""
        now, limit = time.monotonic(), slow_down(bucket.limit)
        state = self._alone.get(bucket)
        if state is None:
            # What others do cannot be known: the first permit waits too.
            state = BucketState.create(limit, now)
            state = state._replace(gcra=state.gcra.hold(now + limit.gap))
        request = request._replace(unused=max(0, -request.unused), known=0)
        self._alone[bucket], response = step(state, request, limit, now)
        return response._replace(number=-response.number)

    def _fail(self, reason: str) -> None:
        self._retry_at = time.monotonic() + RETRY
        if self.fault is None and not self._is_closing:
            logger.warning(
                "the shared limiter cannot be used (%s); this process goes on %d times slower",
                reason,
                MAX_SLOWNESS,
            )
        self.fault = reason


_workers = Instances[StoreWorker](in_child=StoreWorker.forget, at_exit=StoreWorker.close)
_by_store: WeakValueDictionary[BucketStore, StoreWorker] = WeakValueDictionary()


def find_worker(store: BucketStore) -> StoreWorker:
    """Find the worker of *store*, or create it: a process needs one only."""
    worker = _by_store.get(store) or StoreWorker(store)
    return _by_store.setdefault(store, worker)
