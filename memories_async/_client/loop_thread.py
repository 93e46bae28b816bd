"""A thread with an event loop, on behalf of code that blocks.

The loop belongs to an anyio `BlockingPortal`, which also enters context managers there. A call
crosses to the loop by a lock that the caller waits for: 16 us, where `run_coroutine_threadsafe`
takes 28 and `portal.call` 90. The thread ends when nobody holds its `LoopThread` any more, and at
the latest with the process. No caller waits for a thread that did not start or has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Generic, TypeVar
from weakref import finalize

from anyio.from_thread import BlockingPortal
from attrs import define, field, frozen

from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that an interrupted call, and the exit of the process, wait for the loop at most."""


@define(eq=False)
class ThreadCall(Generic[T]):
    """A coroutine that runs in the loop while a thread waits for it."""

    coroutine: Coroutine[Any, Any, T]
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None = None
    answers: list[T] = field(factory=list[T])
    error: BaseException | None = None
    has_begun: bool = False
    is_over: bool = False
    _under_way: threading.Lock = field(factory=threading.Lock)
    """Held until the coroutine has ended."""

    def wait(self) -> T:
        """Run the coroutine and return its answer; cancel it if the wait is interrupted."""
        self._under_way.acquire()
        try:
            self.loop.call_soon_threadsafe(self._begin)
            self.join()
        except RuntimeError as error:  # the loop was closed meanwhile
            self.fail(error)
        except BaseException as interruption:
            self._cancel(interruption)
            raise
        if self.error is None:
            return self.answers[0]
        try:
            raise self.error
        finally:
            # Its traceback leads back here.
            self.error = None

    def join(self, timeout: float = -1) -> None:
        """Wait, at most *timeout* seconds (-1: without limit), for the end; any thread may."""
        if self._under_way.acquire(timeout=timeout):
            self._under_way.release()

    def fail(self, cause: BaseException | None) -> None:
        """End a call whose loop has ended, so that nobody waits for it any more."""
        if self.is_over:
            return
        kind: type[MemoriesError] = OutcomeUnknown if self.has_begun else NotSent
        self.error = kind(f"the client's event loop has ended: {cause!r}")
        with suppress(RuntimeError):  # it ignores that it is closed
            self.coroutine.close()
        self._end()

    def _begin(self) -> None:
        self.task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        self.has_begun = True
        try:
            self.answers.append(await self.coroutine)
        except asyncio.CancelledError as cancelled:
            # A thread that waits must not be taken for a task that was cancelled.
            self.error = CancelledError(*cancelled.args)
            _copy_notes(cancelled, self.error)
        except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
            self.error = error
        finally:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._under_way.release()

    def _cancel(self, interruption: BaseException) -> None:
        """Cancel the coroutine, and tell *interruption* what the call had cost by then."""
        with suppress(RuntimeError):  # the loop is closed, and has cancelled it
            self.loop.call_soon_threadsafe(self._cancel_task)
        self.join(PATIENCE)
        if self.error is not None:
            _copy_notes(self.error, interruption)
        elif self.answers:
            interruption.add_note("the call had been answered; its answer was dropped")

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()


def _copy_notes(source: BaseException, target: BaseException) -> None:
    for note in getattr(source, "__notes__", ()):
        target.add_note(note)


@frozen(eq=False)
class RunningLoop:
    """A loop that runs in a thread, and the calls that threads wait for."""

    portal: BlockingPortal
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    process: int = field(factory=os.getpid)
    calls: set[ThreadCall[Any]] = field(factory=set["ThreadCall[Any]"])
    ended: asyncio.Event = field(factory=asyncio.Event)
    is_over: threading.Event = field(factory=threading.Event)
    """Set before the loop cancels what it still has: whoever calls then needs another loop."""

    def is_usable(self) -> bool:
        """Tell whether this process has the thread, and the thread its loop."""
        is_here = self.process == os.getpid() and self.thread.is_alive()
        return is_here and not self.is_over.is_set()

    def end(self, timeout: float | None) -> None:
        """End the thread, if it is this process's, and wait for it."""
        # Once the interpreter is finalizing, a daemon thread never runs again.
        if not self.is_usable() or sys.is_finalizing():
            return
        with suppress(RuntimeError):  # it has just ended
            self.loop.call_soon_threadsafe(self.ended.set)
        # The collector may find an abandoned client on any thread, the loop's own among them.
        if self.thread is not threading.current_thread():
            self.thread.join(timeout)


def _start() -> RunningLoop:
    ready: Future[RunningLoop] = Future()
    thread = threading.Thread(target=_run_loop, args=(ready,), name="memories_async", daemon=True)
    try:
        thread.start()
        return ready.result()
    except (OSError, RuntimeError) as error:
        raise NotSent(f"the thread of the client's event loop cannot start: {error}") from error


def _run_loop(ready: Future[RunningLoop]) -> None:
    cause: BaseException | None = None
    serving = _serve(ready)
    try:
        with asyncio.Runner() as runner:
            try:
                runner.run(serving)
            finally:
                if ready.done():
                    ready.result().is_over.set()
    except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits
        cause = error
        serving.close()
    if not ready.done():
        ready.set_exception(cause or RuntimeError("the event loop ended at once"))
    elif ready.exception() is None:
        for call in [*ready.result().calls]:
            call.fail(cause)


async def _serve(ready: Future[RunningLoop]) -> None:
    async with BlockingPortal() as portal:
        running = RunningLoop(portal, asyncio.get_running_loop(), threading.current_thread())
        ready.set_result(running)
        await running.ended.wait()


@define(eq=False)
class _Current:
    """The loop of a `LoopThread`, which its finalizer can end without holding the `LoopThread`."""

    running: RunningLoop | None = None
    is_finalized: bool = False

    def finalize(self) -> None:
        self.is_finalized = True
        if self.running is not None:
            self.running.end(PATIENCE)


@define(eq=False)
class LoopThread:
    """One thread with an event loop, started at first use; a forked child starts its own."""

    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _current: _Current = field(factory=_Current, init=False)

    def __attrs_post_init__(self) -> None:
        """Have the thread end when nobody holds this any more, and when the process exits."""
        finalize(self, self._current.finalize)

    def portal(self) -> BlockingPortal:
        """Return the portal into the loop; start it if need be."""
        return self._get().portal

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* in the loop and wait for it; cancel it if the wait is interrupted."""
        try:
            running = self._get()
        except BaseException:
            coroutine.close()
            raise
        if running.thread is threading.current_thread():
            coroutine.close()
            raise RuntimeError("a blocking call would block the very loop that has to answer it")
        call = ThreadCall(coroutine, running.loop)
        running.calls.add(call)
        try:
            return call.wait()
        finally:
            running.calls.discard(call)
            if self._current.is_finalized:  # an exit handler's call: nobody ends the loop later
                self.stop()

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
            running, self._current.running = self._current.running, None
        if running is None or not running.is_usable():
            return
        for call in [*running.calls]:
            call.join()
        running.end(None)

    def is_running(self) -> bool:
        """Tell whether this process has the thread."""
        running = self._current.running
        return running is not None and running.is_usable()

    def _get(self) -> RunningLoop:
        running = self._current.running
        if running is not None and running.is_usable():
            return running
        with self._lock:
            running = self._current.running
            if running is None or not running.is_usable():
                running = self._current.running = _start()
            return running
