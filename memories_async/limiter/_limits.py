"""What a rate limiter promises, and its values: limits, priorities, buckets, and its state.

The default figures are the documented ones: memories.ai docs, "Rate limits", of both versions. They
apply to an account, whatever its number of keys. Versions of the page differ by a factor of ten; the
lower figure is the default where two pages differ, and every figure can be changed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from enum import IntEnum
from types import TracebackType
from typing import Protocol, Self

from attrs import field, fields, frozen

from memories_async._protocol.arguments import COUNT, POSITIVE, SECONDS

MARGIN = 0.02
"""Share by which ticks are spaced wider than the limit asks, so that the service counts no more.

A service counts arrivals, the limiter counts departures. In a window of one second the margin
covers 20 ms between the delays of the window's first and last request. Half of it is used here
(`Limit.slack`, `Limit.max_delay`), the other half is left for the network. Measured
(`benchmarks/limiter.py`, two cores, load 4 to 6): eleven arrivals in a row lie 4 to 9 ms closer
together than planned, 17 ms at worst.
"""
MAX_SLACK = 0.01
MAX_DELAY = 4.0
"""Seconds for which a request may be held up at most: its slot may be another's after 5 (`LEASE`)."""


@frozen
class Limit:
    """*rate* requests every *per* seconds, evenly spaced, and at most *concurrency* at a time."""

    rate: float = field(validator=POSITIVE)
    per: float = field(default=1.0, validator=SECONDS)
    concurrency: int = field(default=64, kw_only=True, validator=COUNT)

    gap: float = field(default=0.0, init=False, eq=False, repr=False)
    """Seconds between two ticks, the margin included."""
    slack: float = field(default=0.0, init=False, eq=False, repr=False)
    """Seconds of the margin by which a request may be later than its tick, whatever the others do."""
    max_delay: float = field(default=0.0, init=False, eq=False, repr=False)
    """Seconds after its tick in which a request may be sent. Later it needs another tick."""

    def __attrs_post_init__(self) -> None:
        """Compute once what every permit needs."""
        object.__setattr__(self, "gap", self.interval * (1 + MARGIN))
        slack = min(MAX_SLACK, self.per * MARGIN / 2)
        object.__setattr__(self, "slack", slack)
        # All requests that can be held up at once may be few enough for the same half of the margin.
        are_few = self.concurrency <= self.rate * MARGIN / 2
        object.__setattr__(self, "max_delay", min(MAX_DELAY, self.per) if are_few else slack)

    @property
    def interval(self) -> float:
        """Seconds between two ticks, without the margin."""
        return self.per / self.rate

    def __str__(self) -> str:
        """Format the limit as words."""
        return f"{self.rate:g} every {self.per:g} s, {self.concurrency} at once"


@frozen(kw_only=True)
class Limits:
    """The limit of each endpoint family; the documented figures by default."""

    search: Limit = Limit(1)
    captions: Limit = Limit(1)
    """On the page of October 2025 only."""
    embeddings: Limit = Limit(1)
    video_upload: Limit = Limit(1, per=60)
    video_list: Limit = Limit(5)
    video_delete: Limit = Limit(1)
    """Five are documented; the service has refused deletes that followed each other faster."""
    video_download: Limit = Limit(12, per=60)
    video_metadata: Limit = Limit(1)
    """On no page; the figure of similar endpoints."""
    asset_upload: Limit = Limit(1)
    asset_metadata: Limit = Limit(1)
    asset_delete: Limit = Limit(1)
    asset_download: Limit = Limit(1)
    other: Limit = Limit(1)
    """Calls of `calls.request`, unless they name another family."""

    def __attrs_post_init__(self) -> None:
        """Refuse what is no `Limit`."""
        for attribute in fields(type(self)):
            limit: object = getattr(self, attribute.name)
            if not isinstance(limit, Limit):
                raise TypeError(
                    f"{attribute.name} must be a Limit, such as Limit(2), not {limit!r}"
                )

    def of(self, family: str) -> Limit:
        """Look up the limit of an endpoint family."""
        limit = getattr(self, family)
        assert isinstance(limit, Limit)
        return limit

    def describe(self) -> tuple[LimitInForce, ...]:
        """List each family's limit beside the documented one."""
        names = tuple(attribute.name for attribute in fields(Limits))
        return tuple(
            LimitInForce(family=name, limit=self.of(name), documented=_DOCUMENTED.of(name))
            for name in names
        )


@frozen(kw_only=True)
class LimitInForce:
    """A family's limit, and the one that the service documents."""

    family: str
    limit: Limit
    documented: Limit

    @property
    def source(self) -> str:
        """Where the figure comes from."""
        return "documented" if self.limit == self.documented else "Client(limits=...)"


_DOCUMENTED = Limits()


class Priority(IntEnum):
    """Who is served first."""

    LATE = 0
    """A request that has its slot, but missed its tick while it connected."""
    INTERACTIVE = 1
    BATCH = 2
    """Waits for interactive calls, but every fifth permit is a batch's if one waits."""


LATE, INTERACTIVE, BATCH = PRIORITIES = tuple(Priority)
# By a name of their own where every permit needs them: before Python 3.12 `Priority.LATE` is slow.


@frozen(kw_only=True, cache_hash=True)
class Bucket:
    """What is limited: the endpoint family of an account."""

    account: str
    """The account's name, or a hash that stands for it; never a key."""
    family: str
    limit: Limit = field(eq=False)
    priority: Priority = field(default=Priority.INTERACTIVE, eq=False)

    @property
    def name(self) -> str:
        """The bucket's name in a shared store."""
        return f"{self.account} {self.family}"


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
