"""A bounded line of items between tasks of one loop: a deque, and whoever waits for it.

An `asyncio.Queue` cannot be ended before Python 3.13, hand over many items at once, or let go of its
bound; a memory stream costs ten times as much an item.
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
class Pipe(Generic[T]):
    """Items wait here, about *size* of them at most; puts wait when it is full."""

    size: int
    _items: deque[T] = field(factory=deque[T], init=False)
    _takers: _Waiters = field(factory=_Waiters, init=False)
    _putters: _Waiters = field(factory=_Waiters, init=False)
    _ended: bool = field(default=False, init=False)

    def __len__(self) -> int:
        return len(self._items)

    async def room(self) -> int:
        """Wait until there is room, and say for how many."""
        while len(self._items) >= self.size:
            await _wait(self._putters)
        return self.size - len(self._items)

    async def put(self, items: Iterable[T]) -> None:
        """Add *items* when there is room for one: they may overshoot the size together."""
        await self.room()
        self.add(items)

    def add(self, items: Iterable[T]) -> None:
        """Add *items* whether there is room or not."""
        before = len(self._items)
        self._items.extend(items)
        for _ in range(min(len(self._items) - before, len(self._takers))):
            _wake(self._takers)

    async def take(self, most: int) -> list[T]:
        """Wait for something and take *most* items of it; nothing means that it ended."""
        while not self._items and not self._ended:
            await _wait(self._takers)
        taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        for _ in range(min(len(taken), len(self._putters))):
            _wake(self._putters)
        return taken

    def end(self) -> None:
        """Let takers go home once the last item is taken."""
        self._ended = True
        while self._takers:
            _wake(self._takers)

    def widen(self) -> None:
        """Never let a put wait again."""
        self.size = 2**62
        while self._putters:
            _wake(self._putters)

    def drained(self) -> list[T]:
        """Take everything, without waiting."""
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
