"""A thread with an event loop, on behalf of code that blocks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class LoopThread:
    """One thread with an event loop, started at first use; a forked child starts its own."""

    _lock: threading.Lock = field(factory=threading.Lock)
    _owner: AbstractContextManager[BlockingPortal] | None = None
    _portal: BlockingPortal | None = None
    _process: int = 0

    def portal(self) -> BlockingPortal:
        """Return the way into the loop, starting it if need be."""
        if self._portal is not None and self._process == os.getpid():
            return self._portal
        with self._lock:
            if self._portal is None or self._process != os.getpid():
                self._owner = start_blocking_portal(name="memories_async")
                self._portal = self._owner.__enter__()
                self._process = os.getpid()
            return self._portal

    def wait(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop and wait for it; cancel it if the wait is interrupted."""
        future = self.portal().start_task_soon(start)
        try:
            answer: T = future.result()
        except BaseException:
            future.cancel()
            raise
        return answer

    def stop(self) -> None:
        """End the thread, if this process has it."""
        with self._lock:
            owner, self._owner, self._portal = self._owner, None, None
        if owner is not None and self._process == os.getpid():
            owner.__exit__(None, None, None)

    def is_running(self) -> bool:
        """Tell whether this process has the thread."""
        return self._portal is not None and self._process == os.getpid()
