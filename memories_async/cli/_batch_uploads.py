"""Waiting until the uploads of a batch are ready, and listing them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from memories_async import Asset, Client, Video
from memories_async.batch import Outcome
from memories_async.cli._dry_run import list_fields
from memories_async.cli._run import CommandRun
from memories_async.errors import MemoriesError

_MOST = 8
"""Uploads awaited at once; the service answers one question a second."""


@define(eq=False)
class UploadWaiter:
    """Waits until each upload of a batch is ready, and writes a line for it."""

    run: CommandRun
    timeout: float | None
    """Seconds to wait for each; None does not wait."""
    write: Callable[[str], None]
    """Called with a line for each upload that is ready."""
    added: list[dict[str, Any]] = field(factory=list[dict[str, Any]], init=False)
    missing: int = field(default=0, init=False)

    @asynccontextmanager
    async def open(
        self, client: Client
    ) -> AsyncGenerator[Callable[[Outcome[str, Any]], Awaitable[None]]]:
        """Yield what to call with each outcome. Leaving waits for all uploads."""
        slots = asyncio.Semaphore(_MOST)
        async with asyncio.TaskGroup() as group:

            async def await_upload(outcome: Outcome[str, Any]) -> None:
                if outcome.answer is not None and outcome.call is not None:
                    await slots.acquire()
                    fields = list_fields(outcome.call)
                    waiting = self._wait(client, outcome.key, outcome.answer, fields)
                    task = group.create_task(waiting)
                    task.add_done_callback(lambda _: slots.release())

            yield await_upload

    async def _wait(
        self, client: Client, key: str, answer: Video | Asset, fields: dict[str, Any]
    ) -> None:
        file = fields["file"]["source"]
        number = answer.asset_id if isinstance(answer, Asset) else answer.video_no
        try:
            if self.timeout is not None and isinstance(answer, Asset):
                answer = await client.assets.wait(number, timeout=self.timeout)
            elif self.timeout is not None:
                scope = fields.get("unique_id", "default")
                answer = await client.videos.wait(number, unique_id=scope, timeout=self.timeout)
        except MemoriesError as error:
            self.missing += 1
            self.run.screen.note(f"{key}: {number}: {error.message}")
            return
        status = answer.upload_status if isinstance(answer, Asset) else answer.status
        name = "asset_id" if isinstance(answer, Asset) else "video_no"
        self.added.append({"key": key, "file": file, name: number, "status": status})
        self.write(f"{number}  {status or 'accepted'}  {file}")
