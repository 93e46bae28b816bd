"""Paces that processes share: the same object for callers, whatever the store."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Self

from attrs import define, evolve

from memories_async.limiter._bucket_client import Grant
from memories_async.limiter._in_process import BucketStatus, Permit
from memories_async.limiter._limits import Bucket
from memories_async.limiter._rule import BucketState
from memories_async.limiter._store_worker import Clerk


@define(eq=False)
class _SharedPermit:
    clerk: Clerk
    bucket: Bucket
    grant: Grant | None = None
    gone: bool = False

    @property
    def fault(self) -> str | None:
        return None if self.grant is None else self.grant.fault

    async def __aenter__(self) -> Self:
        self.grant = await self.clerk.take(self.bucket)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.clerk.give_back(self.bucket)

    def renew_if_late(self) -> Awaitable[None] | None:
        if self.grant is not None and not self.gone:
            self.gone = True
            self.clerk.left(self.bucket, self.grant.start)
        return None


class SharedLimiter:
    """What `FileLimiter` and `RedisLimiter` have in common."""

    _clerk: Clerk
    _account: str | None

    def permit(self, bucket: Bucket) -> Permit:
        """See `RateLimiter.permit`."""
        return _SharedPermit(self._clerk, self._named(bucket))

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """See `RateLimiter.pause`."""
        self._clerk.pause(self._named(bucket), seconds)

    def _named(self, bucket: Bucket) -> Bucket:
        return bucket if self._account is None else evolve(bucket, account=self._account)


def in_force(name: str, state: BucketState, now: float) -> BucketStatus:
    """Say how a bucket stands in its store."""
    account, _, family = name.rpartition(" ")
    alive = [member for member in state.members.values() if member.until > now]
    return BucketStatus(
        account=account,
        family=family,
        wait=state.spacing.wait(now),
        slowness=state.spacing.slowness,
        busy=sum(member.busy for member in alive),
        waiting=sum(any(t is not None for t in member.tickets) for member in alive),
    )
