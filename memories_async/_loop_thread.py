"""A thread with an event loop, on behalf of code that blocks.

anyio's portal owns the thread. Calls enter its loop by asyncio's own door, which costs a third of the
portal's (30 us, not 90), since it builds no cancel scope for each.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from attrs import define, field, frozen

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")


@frozen(eq=False)
class _Running:
    """A thread that runs, and who waits for it."""

    owner: AbstractContextManager[BlockingPortal]
    portal: BlockingPortal
    loop: asyncio.AbstractEventLoop
    thread: int
    process: int = field(factory=os.getpid)
    calls: set[Future[Any]] = field(factory=set[Future[Any]])


_threads: WeakSet[_Running] = WeakSet()
_inherited: list[_Running] = []


def _started() -> _Running:
    from anyio.from_thread import start_blocking_portal  # noqa: PLC0415  # for who blocks only

    owner = start_blocking_portal(name="memories_async")
    portal = owner.__enter__()
    running = _Running(owner, portal, portal.call(_running_loop), portal.call(threading.get_ident))
    _threads.add(running)
    return running


def _inherit() -> None:
    # A child has its parent's owners but none of their threads: one that is dropped there would wait
    # for its thread without end, so none is ever dropped.
    _inherited.extend(_threads)


os.register_at_fork(after_in_child=_inherit)


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@define(eq=False)
class LoopThread:
    """One thread with an event loop, started at first use; a forked child starts its own."""

    _lock: threading.Lock = field(factory=threading.Lock)
    _running: _Running | None = None

    def portal(self) -> BlockingPortal:
        """Return the way into the loop, starting it if need be."""
        return self._run().portal

    def wait(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop and wait for it; cancel it if the wait is interrupted."""
        running = self._run()
        if running.thread == threading.get_ident():
            raise RuntimeError("a blocking call would block the very loop that has to answer it")
        future = asyncio.run_coroutine_threadsafe(start(), running.loop)
        running.calls.add(future)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            running.calls.discard(future)

    def stop(self) -> None:
        """End the thread, if this process has it, once the calls of other threads have ended."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None and running.process == os.getpid():
            wait(running.calls)
            running.owner.__exit__(None, None, None)

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
            return self._running
