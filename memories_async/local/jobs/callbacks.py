"""Callbacks: results posted to the caller's URL, repeated until they are taken, and logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, evolve, frozen

from memories_async.local.egress.client import EgressClient
from memories_async.local.egress.policy import AllowedHosts, Unreachable
from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import Reason, Refusal, encode

__all__ = ["Callbacks", "Delivery", "DeliveryResult", "Outbox", "build_failure"]


@frozen(kw_only=True)
class Callbacks:
    """How results are delivered. The documentation states no retries; these figures are ours."""

    allowed_hosts: AllowedHosts = "loopback"
    attempts: int = 3
    pause: float = 0.2
    """Seconds before the second attempt; doubled before each attempt after that."""
    timeout: float = 10.0
    """Seconds that one attempt may take."""


@frozen(kw_only=True)
class Delivery:
    """One attempt to deliver a result."""

    task_id: str
    url: str
    attempt: int
    """Counts from 1 for each delivery; 0 where nothing was sent, for the reason in *error*."""
    status: int | None
    """HTTP status of the receiver's answer."""
    error: str | None
    time: float
    """Unix time at the end of the attempt."""
    body: Mapping[str, Any]


@frozen(kw_only=True)
class DeliveryResult:
    """The outcome of a task, ready to be delivered."""

    task_id: str
    url: str
    body: Mapping[str, Any]


@define(eq=False)
class Outbox:
    """Delivers results at least once, and keeps them to deliver them again."""

    settings: Callbacks
    egress: EgressClient
    _deliveries: list[Delivery] = Factory(list[Delivery])
    _results: dict[str, DeliveryResult] = Factory(dict[str, DeliveryResult])

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Every attempt to deliver, oldest first."""
        return tuple(self._deliveries)

    def reset(self) -> None:
        """Forget deliveries and results."""
        self._deliveries.clear()
        self._results.clear()

    async def resend(self, task_id: str) -> bool | None:
        """Deliver the result of a finished task again; None where there is no result.

        *task_id* is that of a caption, or the `video_no` of an upload. False: the receiver refused.
        """
        result = self._results.get(task_id)
        return None if result is None else await self.deliver(result)

    def check_url(self, url: str) -> None:
        """Refuse a callback URL that cannot be used with any settings.

        One that is only out of reach is accepted, and its delivery is logged as refused: the
        documentation's samples name such URLs.
        """
        try:
            self.egress.policy.check(url)
        except Unreachable as error:
            if not error.is_forbidden:
                raise Refusal(Reason.WRONG, f"The callback parameter: {error}.") from None

    async def dispatch(self, result: DeliveryResult, fault: Fault | None) -> None:
        """Deliver *result* for the first time, as *fault* changes the delivery."""
        self._results[result.task_id] = result
        kind = None if fault is None else fault.callback
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        if kind == "missing":
            self._record(result, 0, None, "withheld by a fault")
            return
        for _ in range(fault.n if fault is not None and kind == "duplicate" else 1):
            await self.deliver(result)
        if kind == "conflict":
            await self.deliver(_contradict(result))

    async def deliver(self, result: DeliveryResult) -> bool:
        """Send *result* until the receiver answers 2xx; False where it never does."""
        for attempt in range(1, self.settings.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(self.settings.pause * 2 ** (attempt - 2))
            try:
                status = await self.egress.post(result.url, encode(result.body))
            except Unreachable as error:
                self._record(result, 0 if error.is_forbidden else attempt, None, str(error))
                if error.is_forbidden:
                    return False
                continue
            self._record(result, attempt, status, None)
            if 200 <= status < 300:  # noqa: PLR2004  # plain HTTP
                return True
        return False

    def _record(
        self, result: DeliveryResult, attempt: int, status: int | None, error: str | None
    ) -> None:
        delivery = Delivery(
            task_id=result.task_id,
            url=result.url,
            attempt=attempt,
            status=status,
            error=error,
            time=time.time(),
            body=result.body,
        )
        self._deliveries.append(delivery)


def _contradict(result: DeliveryResult) -> DeliveryResult:
    """Report the failure of a task that succeeded."""
    if "videoNo" in result.body:
        return evolve(result, body={**result.body, "status": "FAILED"})
    body = build_failure(result.task_id, "A conflicting result, asked for by a fault.")
    return DeliveryResult(task_id=result.task_id, url=result.url, body=body)


def build_failure(task_id: str, reason: str) -> dict[str, Any]:
    """Build the callback of a failed task. `status` is documented; the page shows no sample."""
    return {"status": -1, "task_id": task_id, "msg": reason, "data": None}
