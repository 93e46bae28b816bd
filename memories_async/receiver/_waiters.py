"""Who waits for which record: woken at once in this process, and by reading news of other processes.

News are read twenty times a second, and only while somebody waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from attrs import define, field

from memories_async.captions import CaptionTask
from memories_async.errors import CallbackTimeout, MemoriesError, OutcomeUnknown
from memories_async.receiver._records import CallbackRecord, RecordKey
from memories_async.receiver._stores import CallbackStore

NEWS_INTERVAL = 0.05
"""Seconds between two readings of news."""


@define(eq=False)
class _Waiter:
    """A coroutine that waits for a record."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[CallbackRecord]
    is_enough: Callable[[CallbackRecord], bool]

    def wake(self, record: CallbackRecord) -> None:
        """Wake the coroutine, from any loop or thread."""
        if self.loop is asyncio.get_running_loop():
            self._set_result(record)
            return
        try:
            self.loop.call_soon_threadsafe(self._set_result, record)
        except RuntimeError:  # the loop was closed, and its waiters with it
            return

    def _set_result(self, record: CallbackRecord) -> None:
        if not self.future.done():
            self.future.set_result(record)


@define(eq=False)
class _Watcher:
    """The task of one event loop that reads news, and how many waiters need it."""

    ready: asyncio.Future[None]
    """Done when the first reading is over: callbacks stored from then on are news."""
    task: asyncio.Task[None] | None = None
    waiters: int = 0


@define(eq=False)
class WaiterRegistry:
    """The waiters of one receiver, on any number of event loops."""

    store: CallbackStore
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _waiters: dict[RecordKey, list[_Waiter]] = field(
        factory=dict[RecordKey, list[_Waiter]], init=False
    )
    _watchers: dict[asyncio.AbstractEventLoop, _Watcher] = field(
        factory=dict[asyncio.AbstractEventLoop, _Watcher], init=False
    )

    async def wait_for(
        self,
        key: RecordKey,
        is_enough: Callable[[CallbackRecord], bool],
        *,
        timeout: float | None,  # noqa: ASYNC109  # what the callers' own callers pass
    ) -> CallbackRecord | None:
        """Return the record of *key* once it *is_enough*, or what there is after *timeout* seconds."""
        async with self.expect(key, is_enough) as coming:
            record = await self.store.find(key)
            if record is not None and is_enough(record):
                return record
            try:
                async with asyncio.timeout(timeout):
                    return await coming
            except TimeoutError:
                return record

    @asynccontextmanager
    async def expect(
        self, key: RecordKey, is_enough: Callable[[CallbackRecord], bool]
    ) -> AsyncGenerator[asyncio.Future[CallbackRecord]]:
        """Give a future for the record of *key*; no callback stored in the context is missed."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future(), is_enough)
        with self._lock:
            self._waiters.setdefault(key, []).append(waiter)
        try:
            async with self._watch(loop):
                yield waiter.future
        finally:
            with self._lock:
                self._waiters[key].remove(waiter)
                if not self._waiters[key]:
                    del self._waiters[key]

    def notify(self, record: CallbackRecord) -> None:
        """Wake everybody for whom *record* is enough, on whichever loop they wait."""
        with self._lock:
            waiters = [waiter for key in record.keys for waiter in self._waiters.get(key, ())]
        for waiter in waiters:
            if waiter.is_enough(record):
                waiter.wake(record)

    @asynccontextmanager
    async def _watch(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = _Watcher(loop.create_future())
            watcher.task = loop.create_task(self._read_news(loop, watcher))
        watcher.waiters += 1
        try:
            await asyncio.shield(watcher.ready)
            yield
        finally:
            watcher.waiters -= 1
            # The last waiter to leave ends the task.
            if watcher.waiters == 0 and watcher.task is not None:
                self._forget(loop, watcher)
                watcher.task.cancel()

    async def _read_news(self, loop: asyncio.AbstractEventLoop, watcher: _Watcher) -> None:
        try:
            mark, _ = await self.store.read_news(None)
            watcher.ready.set_result(None)
            while True:
                await asyncio.sleep(NEWS_INTERVAL)
                mark, records = await self.store.read_news(mark)
                for record in records:
                    self.notify(record)
        except MemoriesError as error:
            self._forget(loop, watcher)
            self._fail(loop, watcher, error)

    def _forget(self, loop: asyncio.AbstractEventLoop, watcher: _Watcher) -> None:
        if self._watchers.get(loop) is watcher:
            del self._watchers[loop]

    def _fail(
        self, loop: asyncio.AbstractEventLoop, watcher: _Watcher, error: MemoriesError
    ) -> None:
        """Raise *error* for every waiter of this loop: the store cannot be read any more."""
        if not watcher.ready.done():
            watcher.ready.set_exception(error)
            watcher.ready.exception()  # whoever waited for it may have left
        with self._lock:
            waiters = [waiter for waiters in self._waiters.values() for waiter in waiters]
        for waiter in waiters:
            if waiter.loop is loop and not waiter.future.done():
                waiter.future.set_exception(error)
                waiter.future.exception()


def build_timeout_error(
    task: CaptionTask | OutcomeUnknown | str,
    record: CallbackRecord | None,
    timeout: float | None,
    store: CallbackStore,
) -> CallbackTimeout:
    """Say which callback did not come within *timeout* seconds, and how to wait on."""
    is_lost = isinstance(task, OutcomeUnknown)
    name = "the submission whose reply was lost" if is_lost else f"task {str(task)!r}"
    again = "wait(error)" if is_lost else f"wait({str(task)!r})"
    known = f"it is kept in {store} when it comes" if record else f"{store} does not know it"
    return CallbackTimeout(
        f"no callback for {name} within {timeout:g} s; {known}: resume with receiver.{again}",
        call=record.submission.call if record else "",
    )
