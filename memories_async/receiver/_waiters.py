"""Who waits for which submission: woken at once in this process, by looking for news in others.

Only while somebody waits does a loop look, twenty times a second, whether another process has
stored a delivery.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from memories_async.errors import MemoriesError
from memories_async.receiver._records import Record, Wanted, wanted_names
from memories_async.receiver._store import Store

PAUSE = 0.05
"""Seconds between two looks for news."""


@define(eq=False)
class _Watch:
    """One loop's look-out."""

    begun: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    waiters: int = 0


_Place = tuple[asyncio.AbstractEventLoop, asyncio.Future[Record]]


@define(eq=False)
class Waiting:
    """The waiters of one receiver, on any number of loops."""

    store: Store
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _places: dict[Wanted, list[_Place]] = field(factory=dict[Wanted, list[_Place]], init=False)
    _watches: dict[asyncio.AbstractEventLoop, _Watch] = field(
        factory=dict[asyncio.AbstractEventLoop, _Watch], init=False
    )

    def tell(self, record: Record) -> None:
        """Wake whoever waits for *record*, if it has an outcome; on whichever loops they wait."""
        if record.outcome is None:
            return
        with self._lock:
            places = [
                place for name in wanted_names(record) for place in self._places.get(name, ())
            ]
        for loop, future in places:
            _resolve(loop, future, record)

    @asynccontextmanager
    async def expecting(self, wanted: Wanted) -> AsyncGenerator[asyncio.Future[Record]]:
        """Give a future for the record once it has an outcome; nothing stored from here on is missed."""
        loop = asyncio.get_running_loop()
        place: _Place = (loop, loop.create_future())
        with self._lock:
            self._places.setdefault(wanted, []).append(place)
        try:
            async with self._looking_out(loop):
                yield place[1]
        finally:
            self._leave(wanted, place)

    def _leave(self, wanted: Wanted, place: _Place) -> None:
        with self._lock:
            self._places[wanted].remove(place)
            if not self._places[wanted]:
                del self._places[wanted]

    @asynccontextmanager
    async def _looking_out(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        watch = self._watches.get(loop)
        if watch is None:
            watch = self._watches[loop] = _Watch(loop.create_future())
            # Its parents are the waiters: the last one to leave ends it.
            watch.task = loop.create_task(self._look_out(loop, watch))
        watch.waiters += 1
        try:
            await asyncio.shield(watch.begun)
            yield
        finally:
            watch.waiters -= 1
            if watch.waiters == 0 and watch.task is not None:
                self._forget(loop, watch)
                watch.task.cancel()

    async def _look_out(self, loop: asyncio.AbstractEventLoop, watch: _Watch) -> None:
        try:
            mark, _ = await self.store.news(None)
            watch.begun.set_result(None)
            while True:
                await asyncio.sleep(PAUSE)
                mark, records = await self.store.news(mark)
                for record in records:
                    self.tell(record)
        except MemoriesError as error:
            self._fail(loop, watch, error)

    def _forget(self, loop: asyncio.AbstractEventLoop, watch: _Watch) -> None:
        if self._watches.get(loop) is watch:
            del self._watches[loop]

    def _fail(self, loop: asyncio.AbstractEventLoop, watch: _Watch, error: MemoriesError) -> None:
        """Have everybody who waits on this loop raise: the store cannot be read any more."""
        self._forget(loop, watch)
        with self._lock:
            futures = [
                future for places in self._places.values() for at, future in places if at is loop
            ]
        if not watch.begun.done():
            watch.begun.set_exception(error)
            watch.begun.exception()  # whoever waited for it may have left
        for future in futures:
            if not future.done():
                future.set_exception(error)
                future.exception()


def _resolve(loop: Any, future: asyncio.Future[Record], record: Record) -> None:
    def resolve() -> None:
        if not future.done():
            future.set_result(record)

    if loop is asyncio.get_running_loop():
        resolve()
        return
    try:
        loop.call_soon_threadsafe(resolve)
    except RuntimeError:  # the loop was closed, and its waiters with it
        return
