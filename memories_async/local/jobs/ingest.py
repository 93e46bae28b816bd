"""Ingest: what happens to an upload between its reply and the moment it can be used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import define

from memories_async.local.engine.protocol import EngineError
from memories_async.local.jobs.background import BackgroundTasks
from memories_async.local.jobs.callbacks import DeliveryResult, Outbox
from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RequestContext
from memories_async.local.jobs.upload_store import (
    DEFAULT,
    DEFAULT_FOLDER,
    ReceivedFile,
    StoredUpload,
    UploadStore,
)
from memories_async.local.state.accounts import Hold
from memories_async.local.state.faults import Fault
from memories_async.local.state.library import VIDEO
from memories_async.local.state.wire import Dialect

__all__ = ["IngestJobs"]

_log = logging.getLogger(__name__)


@define(eq=False, kw_only=True)
class IngestJobs:
    """Parses uploads beside the requests."""

    upload_store: UploadStore
    engine_pool: EnginePool
    outbox: Outbox
    background: BackgroundTasks
    seconds: float
    """Delay before an upload is parsed."""

    def accept(
        self,
        received: ReceivedFile,
        context: RequestContext,
        *,
        kind: str,
        unique_id: str = DEFAULT,
        callback: str | None = None,
        tags: tuple[str, ...] = (),
        folder_id: int = DEFAULT_FOLDER,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[StoredUpload, Callable[[Hold], Awaitable[None]]]:
        """Store a file; return it with the function that starts to parse it once it is paid."""
        stored = self.upload_store.add(
            received,
            kind=kind,
            account=context.account,
            unique_id=unique_id,
            tags=tags,
            folder_id=folder_id,
            told=told,
        )
        fault, dialect = context.callback_fault, context.dialect

        async def begin(hold: Hold) -> None:
            if callback is not None and fault is not None and fault.callback == "early":
                await self.outbox.deliver(_build_result(stored, callback, dialect))
            self.background.start(self._parse(stored, hold, callback, fault, dialect))

        return stored, begin

    def complete(
        self, stored: StoredUpload, received: ReceivedFile, context: RequestContext
    ) -> None:
        """Give a reserved asset its file, and start to process it; it costs nothing."""
        self.upload_store.fill(stored, received)
        self.background.start(
            self._parse(stored, None, None, context.callback_fault, context.dialect)
        )

    async def _parse(
        self,
        stored: StoredUpload,
        hold: Hold | None,
        callback: str | None,
        fault: Fault | None,
        dialect: Dialect,
    ) -> None:
        await asyncio.sleep(self.seconds)
        if stored not in self.upload_store:
            return
        stored.cause = await self._find_failure(stored, fault)
        stored.status = "PARSE" if stored.cause is None else "FAILED"
        if stored.cause is not None and hold is not None:
            hold.refund(stored.id)
        if callback is not None:
            await self.outbox.dispatch(_build_result(stored, callback, dialect), fault)

    async def _find_failure(self, stored: StoredUpload, fault: Fault | None) -> str | None:
        """Index a video, so that a later search is quick; return the reason where that fails."""
        if fault is not None and fault.callback == "failure":
            return "A failure, asked for by a fault."
        if not stored.id.startswith(VIDEO):
            return None
        try:
            stored.duration = (await self.engine_pool.index(stored.video)).facts.duration
        except EngineError as error:
            return str(error)
        except Exception:  # noqa: BLE001  # an engine may be anybody's; its errors are logged
            _log.exception("parsing failed")
            return "The engine failed."
        return None


def _build_result(stored: StoredUpload, url: str, dialect: Dialect) -> DeliveryResult:
    """Build the callback, which has no signature and no task id."""
    status = dialect.failed_word if stored.status == "FAILED" else stored.status
    body: dict[str, Any] = {"videoNo": stored.id, "status": status}
    return DeliveryResult(task_id=stored.id, url=url, body=body)
