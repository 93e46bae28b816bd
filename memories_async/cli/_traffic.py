"""The traffic of a service that runs: a line for each request, and for each callback that it delivers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from memories_async.local import LocalService, LoggedRequest


@define(eq=False)
class Traffic:
    """Reads a service's request log and its deliveries, a line for each."""

    service: LocalService
    _last: int = 0
    _open: set[int] = field(factory=set[int])
    """Requests that had not ended at the last look."""
    _delivered: int = 0

    def read_lines(self) -> Iterator[str]:
        """Yield a line for each request and delivery that ended since the last call."""
        for request in self.service.request_log:
            if request.number > self._last or request.number in self._open:
                self._open.discard(request.number)
                # A fault that takes the reply away leaves the request without a status for good.
                is_lost = (request.fault or "").startswith(("drop", "reset"))
                if request.status is None and not is_lost:
                    self._open.add(request.number)
                else:
                    yield format_request(request)
                self._last = max(self._last, request.number)
        deliveries = self.service.outbox.deliveries
        # A reset empties the list of deliveries.
        start = self._delivered if self._delivered <= len(deliveries) else 0
        self._delivered = len(deliveries)
        for delivery in deliveries[start:]:
            outcome = delivery.error or str(delivery.status)
            at = format_clock(delivery.time)
            yield f"{at}  {'callback':<20}  {outcome:<8}  task {delivery.task_id}"


def format_request(request: LoggedRequest) -> str:
    """Write one request of the log in a line."""
    at = format_clock(time.time() - time.monotonic() + request.arrival)
    answer = f"{request.status or 'no reply'} {request.code or ''}"
    remarks = [
        f"{request.size:,} bytes",
        f"fault: {request.fault}" if request.fault else "",
        f"prompt words without effect: {', '.join(request.ignored)}" if request.ignored else "",
        f"ignored fields: {', '.join(request.ignored_fields)}" if request.ignored_fields else "",
        request.note or "",
    ]
    return f"{at}  {request.route:<20}  {answer:<8}  {'; '.join(filter(None, remarks))}"


def format_clock(moment: float) -> str:
    """Write the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(moment))
