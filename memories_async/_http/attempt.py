"""One attempt at a call: what is sent, and how far the sending has got."""

from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from attrs import define, field

from memories_async._protocol.call import Body, Progress
from memories_async._protocol.keys import Key
from memories_async.events import CallLogger

log = CallLogger(logging.getLogger(__name__))

KEEP_ALIVE = 2.0
"""Seconds that a connection may be idle before it is used. Later the server may close it while a
billed POST is sent, which leaves the outcome unknown."""
QUICK = 0.01
"""Seconds within which a connection, or a permit, counts as had at once."""


@define(eq=False)
class Deadline:
    """Limits a block to the loop's time *when* (None: no limit), like `asyncio.timeout_at`.

    A block that is still running then is cancelled and raises `TimeoutError`; a cancellation from
    outside stays a `CancelledError`. Entering and leaving await nothing, so it is a plain `with`.
    """

    when: float | None
    task: asyncio.Task[Any] = field(init=False)
    at: float = field(default=inf, init=False)
    """When the block is cancelled, as it was scheduled last."""
    has_expired: bool = field(default=False, init=False)
    _timer: _DeadlineTimer | None = field(default=None, init=False)
    _cancelling: int = field(default=0, init=False)
    """Cancellations of the task that were under way when the block was entered."""

    def __enter__(self) -> Self:
        if self.when is not None:
            loop = asyncio.get_running_loop()
            task = asyncio.current_task(loop)
            assert task is not None
            self.task, self._cancelling = task, task.cancelling()
            self._timer = _timers.get(loop) or _timers.setdefault(loop, _DeadlineTimer())
            self._timer.waiting.add(self)
            self.reschedule(self.when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.waiting.discard(self)
        # As in asyncio.timeout: whoever cancels a task takes the cancellation back in the end.
        is_only_cause = self.has_expired and self.task.uncancel() <= self._cancelling
        if is_only_cause and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def reschedule(self, when: float) -> None:
        """Limit the block to *when* instead, unless its time is already over."""
        if self._timer is not None:
            self.at = when
            # A later timer stays in the heap: that costs less than cancelling it.
            if when < self._timer.next_at:
                self._timer.wake_at(when)


@define(eq=False)
class _DeadlineTimer:
    """The one timer of a loop. It holds no reference to the loop, so that it keeps none alive."""

    waiting: set[Deadline] = field(factory=set[Deadline], init=False)
    next_at: float = field(default=inf, init=False)

    def wake_at(self, when: float) -> None:
        self.next_at = when
        asyncio.get_running_loop().call_at(when, self._fire, when)

    def _fire(self, when: float) -> None:
        if when != self.next_at:
            return
        now = asyncio.get_running_loop().time()
        expired = [deadline for deadline in self.waiting if deadline.at <= now]
        for deadline in expired:
            deadline.has_expired = True
            deadline.task.cancel()
        self.waiting.difference_update(expired)
        self.next_at = min([deadline.at for deadline in self.waiting], default=inf)
        if self.next_at < inf:
            self.wake_at(self.next_at)


_timers: WeakKeyDictionary[AbstractEventLoop, _DeadlineTimer] = WeakKeyDictionary()


class StaleConnectionError(Exception):
    """The connection idled while its request waited for a permit; nothing was sent on it."""


@define(kw_only=True, eq=False)
class Attempt:
    """One HTTP request on behalf of a call, and how far the sending has got."""

    url: str
    body: Body
    key: Key | None
    """None where the key must not be sent."""
    method: str = "POST"
    proxy: str | None = field(default=None, repr=False)
    """URL of the proxy to connect through; it may hold a password."""
    progress: Progress | None = field(default=None, repr=False)
    save_to: Path | None = None
    connect_timeout: float
    """Seconds until the request's first byte must have been sent."""
    timeout: float
    """Seconds without a byte in either direction that end the attempt once it is connected."""
    deadline: float | None
    """The loop's time at which the attempt ends, whatever its state."""
    renew_permit: Callable[[], Awaitable[None] | None] | None = field(default=None, repr=False)
    """Called before the first byte is sent. None: the permit is on time. Else the byte waits for it."""
    on_sent: Callable[[], None] | None = field(default=None, repr=False)
    """Called when the request's headers are sent, not while a connection is made."""
    limit: Deadline = field(init=False, repr=False)
    """The time limit that holds at the moment."""
    loop: AbstractEventLoop = field(init=False, repr=False)
    started_at: float = field(default=0.0, init=False)
    has_sent: bool = field(default=False, init=False)
    """Whether a byte of the request may have reached the service."""
    body_size: int = field(default=0, init=False)
    """Bytes of the body."""
    body_sent: int = field(default=0, init=False)
    """Bytes of the body sent so far."""

    def start_limit(self) -> Deadline:
        """Return the attempt's time limit, set to the time that connecting may take."""
        self.loop = asyncio.get_running_loop()
        self.started_at = self.loop.time()
        self.limit = Deadline(self._bound(self.started_at + self.connect_timeout))
        return self.limit

    def extend_limit(self) -> None:
        """Restart the seconds of silence, because bytes have moved."""
        self.limit.reschedule(self._bound(self.loop.time() + self.timeout))

    def _bound(self, when: float) -> float:
        return when if self.deadline is None or when < self.deadline else self.deadline

    async def be_on_time(self) -> None:
        """Wait for another permit if the request is late, and check that its connection is fresh.

        Raises `StaleConnectionError` where the server may close the connection meanwhile: the
        request is sent on another one.
        """
        renewal = None if self.renew_permit is None else self.renew_permit()
        if renewal is None:
            return
        connected_at = self.loop.time()
        # The deadline holds while the request waits; the seconds of silence do not run.
        self.limit.reschedule(self._bound(inf))
        await renewal
        now = self.loop.time()
        # A connection that was had at once may be one that idled before.
        is_new = connected_at - self.started_at > QUICK
        if now - connected_at > QUICK and not (is_new and now - self.started_at <= KEEP_ALIVE):
            raise StaleConnectionError

    def note_sent(self) -> None:
        """Note that the next byte may reach the service: from here on the call may be billed."""
        self.has_sent = True
        if self.on_sent is not None:
            self.on_sent()
        self.extend_limit()

    def note_chunk(self, size: int) -> None:
        """Note that *size* bytes of the body were sent; tell the call's progress callback."""
        self.extend_limit()
        if self.progress is None:
            return
        self.body_sent += size
        try:
            self.progress(self.body_sent, self.body_size)
        except Exception:
            # A mistake in the callback must not end an upload that may be billed.
            log.exception("a progress callback raised")
