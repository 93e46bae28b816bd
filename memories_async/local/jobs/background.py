"""Background tasks of a service, which end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from attrs import Factory, define

__all__ = ["BackgroundTasks"]


@define(eq=False)
class BackgroundTasks:
    """Tasks that outlive the request that started them.

    Not a task group: a service may be entered in one task and left in another, as fixtures do.
    """

    _running: set[asyncio.Task[None]] = Factory(set[asyncio.Task[None]])

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* beside the requests."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    @property
    def under_way(self) -> int:
        """Number of tasks that have not ended."""
        return len(self._running)

    async def drain(self) -> None:
        """Wait until no task is under way."""
        while self._running:
            await asyncio.wait(self._running)

    def cancel(self) -> None:
        """Cancel every task; `drain` waits for their end."""
        for task in self._running:
            task.cancel()
