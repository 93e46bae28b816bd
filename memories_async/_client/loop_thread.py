"""A thread with an event loop, on behalf of code that blocks.

The loop belongs to an anyio `BlockingPortal`, which also enters context managers there. A call
crosses to the loop by a lock that the caller waits for: 16 us, where `run_coroutine_threadsafe`
takes 28 and `portal.call` 90. The thread ends when nobody holds its `LoopThread` any more, and at
the latest with the process.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Generic, TypeVar
from weakref import finalize

from anyio.from_thread import BlockingPortal
from attrs import define, field, frozen

T = TypeVar("T")


@define(eq=False)
class ThreadCall(Generic[T]):
    """A coroutine that runs in the loop while a thread waits for it."""

    coroutine: Coroutine[Any, Any, T]
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None = None
    answers: list[T] = field(factory=list[T])
    error: BaseException | None = None
    under_way: threading.Lock = field(factory=threading.Lock)
    """Held until the coroutine has ended."""

    def wait(self) -> T:
        """Have it run, and return its answer; cancel it if the wait is interrupted."""
        self.under_way.acquire()
        try:
            self.loop.call_soon_threadsafe(self._begin)
            self.ended()
        except BaseException:
            with suppress(RuntimeError):  # the loop is closed, and has cancelled it
                self.loop.call_soon_threadsafe(self._cancel)
            raise
        if self.error is None:
            return self.answers[0]
        try:
            raise self.error
        finally:
            # Its traceback leads back here.
            self.error = None

    def ended(self) -> None:
        """Wait for its end; any thread may."""
        with self.under_way:
            pass

    def _begin(self) -> None:
        self.task = self.loop.create_task(self._run())

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        try:
            self.answers.append(await self.coroutine)
        except asyncio.CancelledError:
            # A thread that waits is not to be taken for a task.
            self.error = CancelledError()
        except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
            self.error = error
        finally:
            self.under_way.release()


@frozen(eq=False)
class _Running:
    """A thread that runs, and who waits for it."""

    portal: BlockingPortal
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    process: int = field(factory=os.getpid)
    calls: set[ThreadCall[Any]] = field(factory=set["ThreadCall[Any]"])
    ended: asyncio.Event = field(factory=asyncio.Event)

    def end(self) -> None:
        """End the thread, if it is this process's, and wait for it."""
        if self.process != os.getpid() or not self.thread.is_alive():
            return
        self.loop.call_soon_threadsafe(self.ended.set)
        # The collector may find an abandoned client on any thread, the loop's own among them.
        if self.thread is not threading.current_thread():
            self.thread.join()


def _started() -> _Running:
    ready: Future[_Running] = Future()
    threading.Thread(target=_run, args=(ready,), name="memories_async", daemon=True).start()
    return ready.result()


def _run(ready: Future[_Running]) -> None:
    asyncio.run(_live(ready))


async def _live(ready: Future[_Running]) -> None:
    async with BlockingPortal() as portal:
        loop, thread = asyncio.get_running_loop(), threading.current_thread()
        running = _Running(portal, loop, thread)
        ready.set_result(running)
        await running.ended.wait()


@define(eq=False)
class LoopThread:
    """One thread with an event loop, started at first use; a forked child starts its own."""

    _lock: threading.Lock = field(factory=threading.Lock)
    _running: _Running | None = None
    _end: Callable[[], object] | None = None
    """Ends the thread, once; also when nobody holds this any more, and when the process exits."""

    def portal(self) -> BlockingPortal:
        """Return the way into the loop, starting it if need be."""
        return self._run().portal

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* in the loop and wait for it; cancel it if the wait is interrupted."""
        running = self._run()
        if running.thread is threading.current_thread():
            coroutine.close()
            raise RuntimeError("a blocking call would block the very loop that has to answer it")
        call = ThreadCall(coroutine, running.loop)
        running.calls.add(call)
        try:
            return call.wait()
        finally:
            running.calls.discard(call)

    def iterate(self, items: AsyncGenerator[T]) -> Iterator[T]:
        """Iterate over *items* in the loop, one call for each."""
        while True:
            try:
                yield self.wait(anext(items))
            except StopAsyncIteration:
                return

    def stop(self) -> None:
        """End the thread, if this process has it, once the calls of other threads have ended."""
        with self._lock:
            running, end, self._running = self._running, self._end, None
        if running is None or end is None or running.process != os.getpid():
            return
        for call in [*running.calls]:
            call.ended()
        end()

    def is_running(self) -> bool:
        """Tell whether this process has the thread."""
        return self._running is not None and self._running.process == os.getpid()

    def _run(self) -> _Running:
        running = self._running
        if running is not None and running.process == os.getpid():
            return running
        with self._lock:
            if self._running is None or self._running.process != os.getpid():
                self._running = _started()
                self._end = finalize(self, self._running.end)
            return self._running
