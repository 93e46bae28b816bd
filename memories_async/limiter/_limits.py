"""Limits: how often and how many at once, for each endpoint family. Values only.

The figures are the documented ones: https://memories.ai/docs, pages "Rate limits" of both versions.
They are the account's, whatever its number of keys, and have changed by ten between versions of the
pages; so the lower figure stands where two pages differ, and every figure can be changed.
"""

from __future__ import annotations

from enum import IntEnum

from attrs import field, fields, frozen
from attrs.validators import ge, gt, instance_of

MARGIN = 0.02
"""Share by which permits are spaced wider than the limit asks, so that the service sees them apart.

A service counts arrivals, we count departures. In a window of one second the margin forgives 20 ms
between the delays of the window's first and last request. Half of it is spent here, on timers and
loops that wake late (`Limit.slack`); what leaves later than that moves the permits behind it. The
other half is for the way. Measured (`benchmarks/limiter.py`, two cores, load 4 to 6): eleven
arrivals in a row lie 4 to 9 ms closer together than planned, 17 ms at worst.
"""
_LATE = 0.01


@frozen
class Limit:
    """*rate* permits every *per* seconds, evenly spaced, and *concurrency* of them at work at once."""

    rate: float = field(validator=gt(0))
    per: float = field(default=1.0, validator=gt(0))
    concurrency: int = field(default=64, kw_only=True, validator=[instance_of(int), ge(1)])

    gap: float = field(default=0.0, init=False, eq=False, repr=False)
    """Seconds between two permits, the margin included."""
    slack: float = field(default=0.0, init=False, eq=False, repr=False)
    """Seconds by which a request may leave behind its plan without delaying those after it."""

    def __attrs_post_init__(self) -> None:
        """Work out, once, what every permit needs."""
        object.__setattr__(self, "gap", self.interval * (1 + MARGIN))
        object.__setattr__(self, "slack", min(_LATE, self.per * MARGIN / 2))

    @property
    def interval(self) -> float:
        """Seconds between two permits, by the limit alone."""
        return self.per / self.rate

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.rate:g} every {self.per:g} s, {self.concurrency} at once"


@frozen(kw_only=True)
class Limits:
    """What an account may do, for each endpoint family; the documented figures by default."""

    search: Limit = Limit(1)
    captions: Limit = Limit(1)
    """Listed by the page of October 2025 only."""
    embeddings: Limit = Limit(1)
    video_upload: Limit = Limit(1, per=60)
    video_list: Limit = Limit(5)
    video_delete: Limit = Limit(5)
    video_metadata: Limit = Limit(1)
    """On no page: the figure of its neighbours."""
    asset_upload: Limit = Limit(1)
    asset_metadata: Limit = Limit(1)
    asset_delete: Limit = Limit(1)
    asset_download: Limit = Limit(1)

    def of(self, family: str) -> Limit:
        """Look up the limit of an endpoint family."""
        limit = getattr(self, family)
        assert isinstance(limit, Limit)
        return limit

    def describe(self) -> tuple[LimitInForce, ...]:
        """List every family's limit, and whether it is the documented one."""
        names = tuple(attribute.name for attribute in fields(Limits))
        return tuple(
            LimitInForce(family=name, limit=self.of(name), documented=_DOCUMENTED.of(name))
            for name in names
        )


@frozen(kw_only=True)
class LimitInForce:
    """A family's limit, beside the one that the service documents."""

    family: str
    limit: Limit
    documented: Limit

    @property
    def source(self) -> str:
        """Where the figure came from."""
        return "documented" if self.limit == self.documented else "Client(limits=...)"


_DOCUMENTED = Limits()


class Priority(IntEnum):
    """Who goes first. Interactive calls do, but every fifth permit is a batch's if one waits."""

    INTERACTIVE = 0
    BATCH = 1


@frozen(kw_only=True, cache_hash=True)
class Bucket:
    """Where a call queues: whose account (a hash, never the key), and which family."""

    account: str
    family: str
    limit: Limit = field(eq=False)
    priority: Priority = field(default=Priority.INTERACTIVE, eq=False)

    @property
    def name(self) -> str:
        """The bucket's name in a store that others use too."""
        return f"{self.account} {self.family}"
