"""What every rate limiter promises, and how one describes itself."""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType
from typing import Protocol, Self

from attrs import frozen

from memories_async.limiter._limits import Bucket


class Permit(Protocol):
    """The right to send one request: a slot of the semaphore and a tick of the rate.

    `async with` waits for both, and gives the slot back at the end.
    """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> object: ...

    def renew_if_late(self) -> Awaitable[None] | None:
        """Return None if the request may be sent now, else an awaitable that waits until it may.

        The transport calls this before it sends the first byte: a request that was held up after
        its tick, while it connected for instance, needs another tick.
        """
        ...

    @property
    def fault(self) -> str | None:
        """Why the permit is of the slow rate without the shared store, or None."""
        ...


class RateLimiter(Protocol):
    """Decides when a request of an account may be sent. Times are in seconds."""

    def permit(self, bucket: Bucket) -> Permit:
        """Create a permit, which is taken by `async with`."""
        ...

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """Pause the bucket, and halve its rate: the service refused a request for its rate."""
        ...


@frozen(kw_only=True)
class BucketStatus:
    """The state of one bucket."""

    account: str
    family: str
    wait: float
    """Seconds until the next tick."""
    slowness: float
    """How many times slower than its limit the bucket is, after refusals."""
    busy: int
    """Calls at work."""
    waiting: int
    """Calls of this process that wait; for a shared limiter, processes."""


@frozen(kw_only=True)
class LimiterStatus:
    """The state of a limiter; `memories-async doctor` shows it."""

    store: str
    """`process`, `file` or `redis`."""
    where: str
    shared_by: str
    fault: str | None = None
    """Why the store cannot be used."""
    buckets: tuple[BucketStatus, ...] = ()
