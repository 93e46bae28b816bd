"""The clerk: the one thread that speaks for this process with a store that others use too.

Calls of any event loop and thread wait at its desks; it asks for their permits one at a time, shows
that the process is alive, and ends when there is nothing left to say. Where the store cannot be
used, it falls back to a slow rate of this process's own and tries the store again.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import sys
import threading
import time
import weakref
from math import inf

from attrs import evolve

from memories_async.events import logger
from memories_async.limiter._bucket_client import Desk, Grant
from memories_async.limiter._gcra import SLOWEST, Spacing
from memories_async.limiter._limits import Bucket, Limit
from memories_async.limiter._rule import Answer, BucketState, Word, hear
from memories_async.limiter._store import Store, StoreDown
from memories_async.limiter._wait_queue import Waiter

RETRY = 2.0
"""Seconds between two attempts to use a store that is down."""
LINGER = 2.0
"""Seconds that the idle thread stays for further calls."""
FAREWELL = 1.0
"""Seconds at most that the end of the process waits for slots to be given back."""
_LEAD = (0.003, 0.1)
"""Seconds that the store is asked ahead of time: for this thread's waking, and for the way there."""


def slowed(limit: Limit) -> Limit:
    """The rate without a store: up to sixteen processes that cannot see each other stay in it."""
    return evolve(limit, rate=limit.rate / SLOWEST)


class Clerk:
    """All of its state is guarded by one condition; nobody holds it while the store is asked."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._begin()
        _clerks.add(self)

    def _begin(self) -> None:
        self._cond = threading.Condition()
        self._member = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._desks: dict[Bucket, Desk] = {}
        self._local: dict[Bucket, BucketState] = {}
        self._thread: threading.Thread | None = None
        self._leaving = False
        self._lead, self._retry_at = _LEAD[0], 0.0
        self.fault: str | None = None

    async def take(self, bucket: Bucket) -> Grant:
        """Wait in line for a permit; a cancelled waiter leaves no trace."""
        waiter = Waiter(asyncio.get_running_loop(), bucket.priority)
        with self._cond:
            desk = self._desk(bucket)
            desk.line.join(waiter)
        try:
            while (grant := self._taken(desk, waiter)) is None:
                await waiter.sleep(None)
        finally:
            with self._cond:
                desk.line.leave(waiter)
                self._rouse()
        return grant

    def give_back(self, bucket: Bucket) -> None:
        """Free a slot."""
        with self._cond:
            self._desk(bucket).busy -= 1
            self._rouse()

    def left(self, bucket: Bucket, start: float) -> None:
        """Hold the next permit back where a request left late."""
        now = time.monotonic()
        if now - start > bucket.limit.slack:
            with self._cond:
                self._desk(bucket).left(start, now)
                self._rouse()

    def pause(self, bucket: Bucket, seconds: float) -> None:
        """Hold everybody back."""
        with self._cond:
            self._desk(bucket).pause(seconds, time.monotonic())
            self._rouse()

    def forget(self) -> None:
        """Begin anew in a forked child, which owns none of its parent's permits."""
        self.store.forget()
        self._begin()

    def farewell(self) -> None:
        """Give every slot back before the process ends."""
        with self._cond:
            self._leaving = True
            for desk in self._desks.values():
                desk.leaving, desk.busy = True, 0
            self._cond.notify_all()
            self._cond.wait_for(self._has_said_all, FAREWELL)

    def _has_said_all(self) -> bool:
        return self._thread is None or not any(d.told.busy for d in self._desks.values())

    def _desk(self, bucket: Bucket) -> Desk:
        desk = self._desks.get(bucket)
        if desk is None:
            desk = self._desks[bucket] = Desk(bucket)
        elif desk.bucket.limit is not bucket.limit:
            desk.bucket = bucket
        return desk

    def _taken(self, desk: Desk, waiter: Waiter) -> Grant | None:
        with self._cond:
            grant = desk.take(waiter, time.monotonic())
            if grant is None:
                self._rouse()
            return grant

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memories-limiter", daemon=True)
            self._thread.start()
        else:
            self._cond.notify_all()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            desk, word = job
            asked = time.monotonic()
            answer, fault = self._ask(desk.bucket, word, asked)
            self._hear(desk, word, answer, asked=asked, fault=fault)

    def _next(self) -> tuple[Desk, Word] | None:
        """Wait until a desk has something to say; None when nobody had for a while."""
        with self._cond:
            while True:
                now = time.monotonic()
                look = min((desk.offer(now) for desk in self._desks.values()), default=inf)
                plans = [(desk.speak_at(now), desk) for desk in self._desks.values()]
                at, desk = min(plans, key=_time, default=(inf, None))
                if desk is not None and at - self._lead <= now:
                    return desk, desk.word(self._member, now, self._lead)
                until = min(look, at - self._lead)
                if not self._cond.wait(LINGER if until == inf else until - now) and until == inf:
                    self._thread = None
                    return None

    def _ask(self, bucket: Bucket, word: Word, now: float) -> tuple[Answer, str | None]:
        if self.fault is None or now >= self._retry_at:
            try:
                answer = self.store.exchange(bucket, word)
            except StoreDown as error:
                self._fail(str(error))
            else:
                self._recover()
                return answer, None
        return self._answer_alone(bucket, word), self.fault

    def _hear(
        self, desk: Desk, word: Word, answer: Answer, *, asked: float, fault: str | None
    ) -> None:
        now = time.monotonic()
        away = now - asked
        if fault is None:
            self._lead = min(away + _LEAD[0], _LEAD[1])
        with self._cond:
            # The store answered in between: if that was long ago, the permit counts as used late.
            desk.heard(word, answer, at=asked + away / 2, now=now, fault=fault)
            self._cond.notify_all()

    def _answer_alone(self, bucket: Bucket, word: Word) -> Answer:
        now, limit = time.monotonic(), slowed(bucket.limit)
        # What others do cannot be known: the first permit waits too.
        begun = BucketState(spacing=Spacing(now + limit.gap), seen=now)
        state = self._local.get(bucket, begun)
        self._local[bucket], answer = hear(state, evolve(word, unused=0), limit, now)
        return evolve(answer, permit=0)

    def _fail(self, reason: str) -> None:
        self._retry_at = time.monotonic() + RETRY
        if self.fault is None and not self._leaving:
            logger.warning(
                "the shared limiter is out of reach (%s); this process goes on at a rate %d times slower",
                reason,
                SLOWEST,
            )
        self.fault = reason

    def _recover(self) -> None:
        if self.fault is not None:
            logger.warning("the shared limiter is back, at its full rate")
            self.fault = None
            self._local.clear()


def _time(plan: tuple[float, Desk]) -> float:
    return plan[0]


_clerks: weakref.WeakSet[Clerk] = weakref.WeakSet()
_by_store: weakref.WeakValueDictionary[Store, Clerk] = weakref.WeakValueDictionary()


def clerk_of(store: Store) -> Clerk:
    """Find the clerk who speaks with *store*, or appoint one: a process needs one only."""
    clerk = _by_store.get(store) or Clerk(store)
    return _by_store.setdefault(store, clerk)


def _forget_all() -> None:
    for clerk in [*_clerks]:
        clerk.forget()


def _farewell_all() -> None:
    for clerk in [*_clerks]:
        clerk.farewell()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_forget_all)
atexit.register(_farewell_all)
