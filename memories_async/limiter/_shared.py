"""Rate limiters that processes share: what they have in common, whatever the store."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Self

from attrs import define, evolve

from memories_async.limiter._bucket_client import Reservation
from memories_async.limiter._limits import Bucket, BucketStatus, LimiterStatus, Permit
from memories_async.limiter._rule import BucketState
from memories_async.limiter._store import StoreUnavailableError
from memories_async.limiter._store_worker import StoreWorker


@define(eq=False)
class _SharedPermit:
    worker: StoreWorker
    bucket: Bucket
    reservation: Reservation = Reservation(number=0, tick=0.0)  # noqa: RUF009  # frozen

    @property
    def fault(self) -> str | None:
        return self.reservation.fault

    async def __aenter__(self) -> Self:
        self.reservation = await self.worker.reserve(self.bucket, self.bucket.priority)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.worker.finish(self.bucket)

    def renew_if_late(self) -> Awaitable[None] | None:
        late = self.reservation.compute_lateness(self.bucket.limit, time.monotonic())
        return None if late <= 0 else self._renew(late)

    async def _renew(self, late: float) -> None:
        self.reservation = await self.worker.renew(self.bucket, self.reservation, late)


class SharedLimiter:
    """What `FileLimiter` and `RedisLimiter` have in common."""

    _worker: StoreWorker
    _account: str | None

    def permit(self, bucket: Bucket) -> Permit:
        """See `RateLimiter.permit`."""
        return _SharedPermit(self._worker, self._with_account(bucket))

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """See `RateLimiter.pause`."""
        self._worker.pause(self._with_account(bucket), seconds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedLimiter) and (self._worker, self._account) == (
            other._worker,
            other._account,
        )

    def __hash__(self) -> int:
        return hash((self._worker, self._account))

    def _with_account(self, bucket: Bucket) -> Bucket:
        return bucket if self._account is None else evolve(bucket, account=self._account)

    def _describe(self, *, store: str, where: str, shared_by: str) -> LimiterStatus:
        fault, described = self._worker.fault, list[BucketStatus]()
        try:
            now, buckets = self._worker.store.read_all()
        except StoreUnavailableError as error:
            fault, now, buckets = str(error), 0.0, dict[str, BucketState]()
        for name, state in buckets.items():
            account, _, family = name.rpartition(" ")
            leases = [lease for lease in state.leases.values() if lease.until > now]
            described.append(
                BucketStatus(
                    account=account,
                    family=family,
                    wait=state.gcra.wait(now),
                    slowness=state.gcra.slowness,
                    busy=sum(lease.busy for lease in leases),
                    waiting=sum(any(lease.tickets) for lease in leases),
                )
            )
        return LimiterStatus(
            store=store, where=where, shared_by=shared_by, fault=fault, buckets=tuple(described)
        )
