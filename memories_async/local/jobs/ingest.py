"""Parsing: what happens to an upload between its answer and the moment it can be used."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from attrs import define

from memories_async.local.engine.protocol import EngineError
from memories_async.local.jobs.background import Errands
from memories_async.local.jobs.callbacks import Outbox, Result
from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.upload_store import Shelf, Stored
from memories_async.local.state.accounts import Purse
from memories_async.local.state.faults import Fault
from memories_async.local.state.library import VIDEO
from memories_async.local.state.wire import Dialect

__all__ = ["Parsing"]

_log = logging.getLogger(__name__)


@define(eq=False, kw_only=True)
class Parsing:
    """Works uploads off beside the requests."""

    shelf: Shelf
    workshop: Workshop
    outbox: Outbox
    errands: Errands
    seconds: float
    """How long an upload waits before the engine looks at it."""

    async def begin(
        self,
        stored: Stored,
        purse: Purse,
        *,
        callback: str | None,
        fault: Fault | None,
        dialect: Dialect,
    ) -> None:
        """Start; the page lets a callback come after the upload, too, which a fault asks for."""
        if callback is not None and fault is not None and fault.callback == "early":
            await self.outbox.deliver(_result(stored, callback, dialect))
        self.errands.start(self._parse(stored, purse, callback, fault, dialect))

    async def _parse(
        self,
        stored: Stored,
        purse: Purse,
        callback: str | None,
        fault: Fault | None,
        dialect: Dialect,
    ) -> None:
        await asyncio.sleep(self.seconds)
        if stored not in self.shelf:
            return
        stored.cause = await self._looked_at(stored, fault)
        stored.status = "PARSE" if stored.cause is None else "FAILED"
        if stored.cause is not None:
            purse.pay_back(stored.id)
        if callback is not None:
            await self.outbox.dispatch(_result(stored, callback, dialect), fault)

    async def _looked_at(self, stored: Stored, fault: Fault | None) -> str | None:
        """Index a video, so that a later search is quick; returns why that failed."""
        if fault is not None and fault.callback == "failure":
            return "A failure, asked for by a fault."
        if not stored.id.startswith(VIDEO):
            return None
        try:
            stored.duration = (await self.workshop.index_of(stored.video)).facts.duration
        except EngineError as error:
            return str(error)
        except Exception:  # noqa: BLE001  # an engine is a guest; what it throws must be heard of
            _log.exception("parsing failed")
            return "The engine failed."
        return None


def _result(stored: Stored, url: str, dialect: Dialect) -> Result:
    """Word the callback; it has no signature and no task."""
    status = dialect.failed_word if stored.status == "FAILED" else stored.status
    body: dict[str, Any] = {"videoNo": stored.id, "status": status}
    return Result(task_id=stored.id, url=url, body=body)
