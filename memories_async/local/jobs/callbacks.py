"""Callbacks: results POSTed to where the caller asked, again until they are taken, and a log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, evolve, frozen

from memories_async.local.egress.client import Outgoing
from memories_async.local.egress.policy import Reach, Unreachable
from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import encode

__all__ = ["Callbacks", "Delivery", "Outbox", "Result"]


@frozen(kw_only=True)
class Callbacks:
    """How results are delivered. The page says nothing of retries; these are our figures."""

    reach: Reach = "loopback"
    attempts: int = 3
    pause: float = 0.2
    """Seconds before the second attempt; doubled before each further one."""
    timeout: float = 10.0
    """Seconds for one attempt."""


@frozen(kw_only=True)
class Delivery:
    """One attempt to deliver."""

    task_id: str
    url: str
    attempt: int
    """Counts from 1 for each delivery; 0 when nothing was sent, and *error* says why."""
    status: int | None
    """What the receiver answered."""
    error: str | None
    time: float
    """Unix time at the end of the attempt."""
    body: Mapping[str, Any]


@frozen(kw_only=True)
class Result:
    """What became of a task, ready to be delivered."""

    task_id: str
    url: str
    body: Mapping[str, Any]


@define(eq=False)
class Outbox:
    """Delivers results at least once, and remembers them for sending again."""

    settings: Callbacks
    outgoing: Outgoing
    _log: list[Delivery] = Factory(list[Delivery])
    _results: dict[str, Result] = Factory(dict[str, Result])

    @property
    def log(self) -> tuple[Delivery, ...]:
        """Every attempt, oldest first."""
        return tuple(self._log)

    def reset(self) -> None:
        """Forget deliveries and results."""
        self._log.clear()
        self._results.clear()

    def result(self, task_id: str) -> Result | None:
        """What became of a task, once it is known."""
        return self._results.get(task_id)

    async def dispatch(self, result: Result, fault: Fault | None) -> None:
        """Deliver *result* for the first time, as *fault* spoils it."""
        self._results[result.task_id] = result
        kind = None if fault is None else fault.callback
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        if kind == "missing":
            self._note(result, 0, None, "withheld by a fault")
            return
        for _ in range(fault.n if fault is not None and kind == "duplicate" else 1):
            await self.deliver(result)
        if kind == "conflict":
            await self.deliver(_contrary(result))

    async def deliver(self, result: Result) -> bool:
        """Send until the receiver answers 2xx; False when it never did."""
        for attempt in range(1, self.settings.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(self.settings.pause * 2 ** (attempt - 2))
            try:
                status = await self.outgoing.post(result.url, encode(result.body))
            except Unreachable as error:
                self._note(result, 0 if error.forbidden else attempt, None, str(error))
                if error.forbidden:
                    return False
                continue
            self._note(result, attempt, status, None)
            if 200 <= status < 300:  # noqa: PLR2004  # plain HTTP
                return True
        return False

    def _note(self, result: Result, attempt: int, status: int | None, error: str | None) -> None:
        delivery = Delivery(
            task_id=result.task_id,
            url=result.url,
            attempt=attempt,
            status=status,
            error=error,
            time=time.time(),
            body=result.body,
        )
        self._log.append(delivery)


def _contrary(result: Result) -> Result:
    """The same task with another outcome: what was done, failed."""
    if "videoNo" in result.body:
        return evolve(result, body={**result.body, "status": "FAILED"})
    body = failure(result.task_id, "A conflicting result, asked for by a fault.")
    return Result(task_id=result.task_id, url=result.url, body=body)


def failure(task_id: str, reason: str) -> dict[str, Any]:
    """Word a failed task. The page gives no sample; `status` is documented, the rest is our form."""
    return {"status": -1, "task_id": task_id, "msg": reason, "data": None}
