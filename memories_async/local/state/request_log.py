"""The request_log: every request that reached a route, as the service saw it.

It holds sizes and hashes, never a body, a prompt or a key.
"""

from __future__ import annotations

from typing import Any

from attrs import Factory, define, evolve, frozen

__all__ = ["RequestLog", "Seen"]

# A batch of a hundred thousand calls is looked at whole; a longer one forgets its beginning.
KEPT = 200_000


@frozen(kw_only=True)
class Seen:
    """One request, as far as it has got."""

    number: int
    """Counts from 1."""
    arrival: float
    """Monotonic time, in seconds, when its headers were read."""
    route: str
    status: int | None = None
    """HTTP status that was sent, if any."""
    code: str | None = None
    """Business code that was sent, as text."""
    answered: bool = False
    """Whether the service is done with it, be it by a reply or by a broken connection."""
    size: int = 0
    """Bytes of the request's body that were read."""
    uploads: tuple[str, ...] = ()
    """SHA-256 of each uploaded file, in order."""
    fault: str | None = None
    """The faults that were applied, as in `drop after + callback early`."""
    ignored: tuple[str, ...] = ()
    """Words of the prompt that the engine did not act on."""
    note: str | None = None
    """What the service did in another way than the real one would."""


@define(eq=False)
class RequestLog:
    """Requests in the order of their arrival."""

    _seen: dict[int, Seen] = Factory(dict[int, Seen])
    _count: int = 0

    def arrive(self, route: str, arrival: float) -> int:
        """Write down a new request; returns its number."""
        self._count += 1
        self._seen[self._count] = Seen(number=self._count, arrival=arrival, route=route)
        if len(self._seen) > KEPT:
            del self._seen[next(iter(self._seen))]
        return self._count

    def note(self, number: int, **facts: Any) -> None:
        """Add *facts* to a request; one that was forgotten since stays forgotten."""
        if number in self._seen:
            self._seen[number] = evolve(self._seen[number], **facts)

    def all(self) -> tuple[Seen, ...]:
        """Every request kept, oldest first."""
        return tuple(self._seen.values())

    def reset(self) -> None:
        """Forget every request; the numbers go on, so that late facts find no stranger."""
        self._seen.clear()
