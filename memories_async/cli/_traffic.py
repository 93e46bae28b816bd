"""What the embedded service was asked since the last look, a line for each request and delivery."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from memories_async.local import Delivery, LocalService, LoggedRequest


@define(eq=False)
class Traffic:
    """Follows a service's database and its deliveries."""

    service: LocalService
    _last: int = 0
    _open: set[int] = field(factory=set[int])
    """Requests that were under way at the last look."""
    _delivered: int = 0

    def news(self) -> Iterator[str]:
        """Tell what has ended since the last time."""
        for seen in self.service.request_log:
            if seen.number > self._last or seen.number in self._open:
                self._open.discard(seen.number)
                if seen.status is None and not _broken_off(seen):
                    self._open.add(seen.number)
                else:
                    yield _request(seen)
                self._last = max(self._last, seen.number)
        deliveries = self.service.outbox.deliveries
        # A reset empties the log.
        start = self._delivered if self._delivered <= len(deliveries) else 0
        self._delivered = len(deliveries)
        yield from map(_delivery, deliveries[start:])


def _broken_off(seen: LoggedRequest) -> bool:
    """Whether a fault took the reply away, so that no status will ever come."""
    return (seen.fault or "").startswith(("drop", "reset"))


def _request(seen: LoggedRequest) -> str:
    at = _clock(time.time() - time.monotonic() + seen.arrival)
    answer = f"{seen.status or 'no reply'} {seen.code or ''}"
    remarks = [
        f"{seen.size:,} bytes",
        f"fault: {seen.fault}" if seen.fault else "",
        f"not acted on: {', '.join(seen.ignored)}" if seen.ignored else "",
        seen.note or "",
    ]
    told = "; ".join(remark for remark in remarks if remark)
    return f"{at}  {seen.route:<20}  {answer:<8}  {told}"


def _delivery(delivery: Delivery) -> str:
    outcome = delivery.error or str(delivery.status)
    return f"{_clock(delivery.time)}  {'callback':<20}  {outcome:<8}  task {delivery.task_id}"


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
