"""A bounded queue between tasks of one event loop that can be ended, widened and drained.

An `asyncio.Queue` cannot be ended before Python 3.13, hand over many items at once, or give up its
bound; an anyio memory stream costs ten times as much per item.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")
_Waiters = deque[asyncio.Future[None]]


@define(eq=False)
class Channel(Generic[T]):
    """A queue of about *size* items: `wait_for_room` waits while it is full, `take` while it is empty."""

    size: int
    _items: deque[T] = field(factory=deque[T], init=False)
    _takers: _Waiters = field(factory=_Waiters, init=False)
    _putters: _Waiters = field(factory=_Waiters, init=False)
    _is_ended: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self._items)

    async def wait_for_room(self) -> int:
        """Wait until there is room; return for how many items."""
        while len(self._items) >= self.size:
            await _wait(self._putters)
        return self.size - len(self._items)

    def add(self, items: Iterable[T]) -> None:
        """Add *items* without waiting for room."""
        before = len(self._items)
        self._items.extend(items)
        for _ in range(min(len(self._items) - before, len(self._takers))):
            _wake(self._takers)

    async def take(self, most: int) -> list[T]:
        """Wait for an item and take up to *most*; an empty list means that the channel has ended."""
        while not self._items and not self._is_ended:
            await _wait(self._takers)
        taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        for _ in range(min(len(taken), len(self._putters))):
            _wake(self._putters)
        return taken

    def end(self) -> None:
        """Let `take` return an empty list once the last item is taken."""
        self._is_ended = True
        while self._takers:
            _wake(self._takers)

    def widen(self) -> None:
        """Remove the bound: nobody waits for room any more."""
        self.size = 2**62
        while self._putters:
            _wake(self._putters)

    def take_all(self) -> list[T]:
        """Take every item without waiting."""
        items = [*self._items]
        self._items.clear()
        return items


async def _wait(waiters: _Waiters) -> None:
    woken = asyncio.get_running_loop().create_future()
    waiters.append(woken)
    try:
        await woken
    except asyncio.CancelledError:
        if woken.done() and not woken.cancelled():
            _wake(waiters)  # it was woken for an item that another must take now
        raise


def _wake(waiters: _Waiters) -> None:
    while waiters:
        woken = waiters.popleft()
        if not woken.done():
            woken.set_result(None)
            return
