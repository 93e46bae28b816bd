"""Time limits that share one timer for each event loop.

`asyncio.timeout` adds a timer of its own to the loop's heap, and rescheduling it adds another: around
a bare aiohttp request of 99 us, a limit that is rescheduled twice costs 15 us. Here a limit is an
entry in a table, and one timer fires for the earliest of them: 1 us for each limit.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from math import inf
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from attrs import define, field


@define(eq=False)
class Deadline:
    """Limits a block to the loop's time *when* (None: no limit), like `asyncio.timeout_at`.

    A block that is still running then is cancelled and raises `TimeoutError`; a cancellation from
    outside stays a `CancelledError`. Entering and leaving await nothing, so it is a plain `with`.
    """

    when: float | None
    task: asyncio.Task[Any] = field(init=False)
    _timer: _DeadlineTimer | None = field(default=None, init=False)
    _cancelling: int = field(default=0, init=False)
    """Cancellations of the task that were under way when the block was entered."""

    def __enter__(self) -> Self:
        if self.when is not None:
            loop = asyncio.get_running_loop()
            task = asyncio.current_task(loop)
            assert task is not None
            self.task, self._cancelling = task, task.cancelling()
            timer = _timers.get(loop)
            if timer is None:
                timer = _timers[loop] = _DeadlineTimer()
            self._timer = timer
            timer.schedule(self, self.when)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        has_expired = self._timer is not None and self._timer.waiting.pop(self, None) is None
        # As in asyncio.timeout: whoever cancels a task takes the cancellation back in the end.
        is_only_cause = has_expired and self.task.uncancel() <= self._cancelling
        if is_only_cause and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def reschedule(self, when: float) -> None:
        """Limit the block to *when* instead, unless its time is already over."""
        if self._timer is not None and self in self._timer.waiting:
            self._timer.schedule(self, when)


@define(eq=False)
class _DeadlineTimer:
    """The one timer of a loop. It holds no reference to the loop, so that it keeps none alive."""

    waiting: dict[Deadline, float] = field(factory=dict[Deadline, float], init=False)
    next_at: float = field(default=inf, init=False)

    def schedule(self, deadline: Deadline, when: float) -> None:
        self.waiting[deadline] = when
        self._set(when)

    def _set(self, when: float) -> None:
        # A later timer stays in the heap: that costs less than cancelling it.
        if when < self.next_at:
            self.next_at = when
            asyncio.get_running_loop().call_at(when, self._fire, when)

    def _fire(self, when: float) -> None:
        if when != self.next_at:
            return
        self.next_at = inf
        now = asyncio.get_running_loop().time()
        for deadline in [deadline for deadline, at in self.waiting.items() if at <= now]:
            del self.waiting[deadline]
            deadline.task.cancel()
        self._set(min(self.waiting.values(), default=inf))


_timers: WeakKeyDictionary[AbstractEventLoop, _DeadlineTimer] = WeakKeyDictionary()
