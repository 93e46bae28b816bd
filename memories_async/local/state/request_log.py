"""Request log: every request that reached a route, as the service saw it.

It holds sizes and hashes, never a body, a prompt or a key.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define, evolve, frozen

__all__ = ["LoggedRequest", "RequestLog"]

KEPT = 200_000
"""Requests that the log holds; older ones are dropped."""


@frozen(kw_only=True)
class LoggedRequest:
    """One request, as far as the service has got with it."""

    number: int
    """Counts from 1."""
    arrival: float
    """Monotonic time, in seconds, when its headers were read."""
    route: str
    status: int | None = None
    """HTTP status of the reply, once one was sent."""
    code: str | None = None
    """Business code of the reply, as text."""
    answered: bool = False
    """Whether the service is done with it, by a reply or by closing the connection."""
    size: int = 0
    """Bytes of the body that were read."""
    uploads: tuple[str, ...] = ()
    """SHA-256 of each uploaded file, in order."""
    fault: str | None = None
    """The faults that were applied, as in `drop after + callback early`."""
    ignored: tuple[str, ...] = ()
    """Words of the prompt that the engine did not act on."""
    ignored_fields: tuple[str, ...] = ()
    """Names of the fields that the service did not act on."""
    note: str | None = None
    """Where the embedded service behaves differently from the real one."""


@define(eq=False)
class RequestLog:
    """Requests in the order of their arrival."""

    _requests: dict[int, LoggedRequest] = Factory(dict[int, LoggedRequest])
    _count: int = 0

    def add(self, route: str, arrival: float) -> int:
        """Add a new request; returns its number."""
        self._count += 1
        self._requests[self._count] = LoggedRequest(
            number=self._count, arrival=arrival, route=route
        )
        if len(self._requests) > KEPT:
            del self._requests[next(iter(self._requests))]
        return self._count

    def update(self, number: int, **facts: Any) -> None:
        """Set *facts* of a request; one that is no longer in the log stays out of it."""
        if number in self._requests:
            self._requests[number] = evolve(self._requests[number], **facts)

    def all(self) -> tuple[LoggedRequest, ...]:
        """Every request in the log, oldest first."""
        return tuple(self._requests.values())

    def reset(self) -> None:
        """Forget every request. Numbers go on, so that late facts of an old one reach no new one."""
        self._requests.clear()
