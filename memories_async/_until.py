"""Time limits that share one timer for each event loop.

`asyncio.timeout` puts a timer of its own into the loop's heap, and moving the limit puts in another.
Around a bare aiohttp request of 99 us, one that is moved twice cost 15 us more. Here a limit is a
number, and one timer rings for the earliest of them: 3 to 5 us for each limit of a call.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from math import inf
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from attrs import define, field


@define(eq=False)
class Until:
    """Let a block run until the loop's time is *when* (None: for ever), as `asyncio.timeout_at`.

    What ends the block is an `asyncio.Timeout`, which raises `TimeoutError` and tells a cancellation
    from outside apart; only the ringing is done elsewhere.
    """

    when: float | None
    _timeout: asyncio.Timeout = field(factory=lambda: asyncio.timeout(None), init=False)
    _bell: _Bell | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        if self.when is not None:
            self._bell = _bell()
            self._bell.expect(self, self.when)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bell is not None:
            self._bell.waiting.pop(self, None)
        await self._timeout.__aexit__(kind, error, traceback)

    def move(self, when: float) -> None:
        """Let the block run until *when* instead, unless its time has come already."""
        if self._bell is not None and self in self._bell.waiting:
            self._bell.expect(self, when)

    def end(self) -> None:
        """Time out."""
        self._timeout.reschedule(0)


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
            until.end()
        self._set(min(self.waiting.values(), default=inf))


_bells: WeakKeyDictionary[AbstractEventLoop, _Bell] = WeakKeyDictionary()


def _bell() -> _Bell:
    loop = asyncio.get_running_loop()
    bell = _bells.get(loop)
    if bell is None:
        bell = _bells[loop] = _Bell()
    return bell
