"""Time limits that share one timer for each event loop.

`asyncio.timeout` puts a timer of its own into the loop's heap, and moving the limit puts in another.
Around a bare aiohttp request of 99 us, one that is moved twice cost 15 us more. Here a limit is a
number, and one timer rings for the earliest of them: 1 us for each limit of a call.
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
class Until:
    """Let a block run until the loop's time is *when* (None: for ever), as `asyncio.timeout_at`.

    A block whose time is over is cancelled and raises `TimeoutError`; a cancellation from outside
    stays one. Entering and leaving await nothing: a plain `with` will do.
    """

    when: float | None
    task: asyncio.Task[Any] = field(init=False)
    _bell: _Bell | None = field(default=None, init=False)
    _cancelling: int = field(default=0, init=False)
    """Cancellations of the task that were under way before."""

    def __enter__(self) -> Self:
        if self.when is not None:
            loop = asyncio.get_running_loop()
            task = asyncio.current_task(loop)
            assert task is not None
            self.task, self._cancelling = task, task.cancelling()
            self._bell = _bell(loop)
            self._bell.expect(self, self.when)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        rang = self._bell is not None and self._bell.waiting.pop(self, None) is None
        # The protocol is asyncio's: whoever cancels a task takes that back in the end.
        if rang and self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def move(self, when: float) -> None:
        """Let the block run until *when* instead, unless its time has come already."""
        if self._bell is not None and self in self._bell.waiting:
            self._bell.expect(self, when)


@define(eq=False)
class _Bell:
    """A loop's one timer. It refers to no loop, so that it keeps none alive."""

    waiting: dict[Until, float] = field(factory=dict[Until, float], init=False)
    next_at: float = field(default=inf, init=False)

    def expect(self, until: Until, when: float) -> None:
        self.waiting[until] = when
        self._set(when)

    def _set(self, when: float) -> None:
        # An earlier timer leaves a later one in the heap: cheaper than to take it out.
        if when < self.next_at:
            self.next_at = when
            asyncio.get_running_loop().call_at(when, self._ring, when)

    def _ring(self, when: float) -> None:
        if when != self.next_at:
            return
        self.next_at = inf
        now = asyncio.get_running_loop().time()
        for until in [until for until, at in self.waiting.items() if at <= now]:
            del self.waiting[until]
            until.task.cancel()
        self._set(min(self.waiting.values(), default=inf))


_bells: WeakKeyDictionary[AbstractEventLoop, _Bell] = WeakKeyDictionary()


def _bell(loop: AbstractEventLoop) -> _Bell:
    bell = _bells.get(loop)
    if bell is None:
        bell = _bells[loop] = _Bell()
    return bell
