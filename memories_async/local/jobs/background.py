"""Background tasks with an owner: whatever is under way ends with the service."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from attrs import Factory, define

__all__ = ["Errands"]


@define(eq=False)
class Errands:
    """Tasks that outlive the request that began them.

    Not a task group: a service is entered in one task and left in another, as fixtures do.
    """

    _running: set[asyncio.Task[None]] = Factory(set[asyncio.Task[None]])

    def start(self, errand: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *errand* beside the requests."""
        task = asyncio.create_task(errand)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    @property
    def under_way(self) -> int:
        """How many have not ended."""
        return len(self._running)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            await asyncio.wait(self._running)

    def cancel(self) -> None:
        """Ask every errand to end."""
        for task in self._running:
            task.cancel()
