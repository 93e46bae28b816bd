"""Paces that processes share: the same object for callers, whatever the store."""

from __future__ import annotations

from typing import Self

from attrs import define, evolve

from memories_async.limiter._bucket_client import Grant
from memories_async.limiter._in_process import LaneInForce, Turn
from memories_async.limiter._limits import Lane
from memories_async.limiter._rule import LaneState
from memories_async.limiter._store_worker import Clerk


@define(eq=False)
class _SharedTurn:
    clerk: Clerk
    lane: Lane
    grant: Grant | None = None
    gone: bool = False

    @property
    def fault(self) -> str | None:
        return None if self.grant is None else self.grant.fault

    async def __aenter__(self) -> Self:
        self.grant = await self.clerk.take(self.lane)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.clerk.give_back(self.lane)

    def left(self) -> None:
        if self.grant is not None and not self.gone:
            self.gone = True
            self.clerk.left(self.lane, self.grant.start)


class SharedPace:
    """What `FilePace` and `RedisPace` have in common."""

    _clerk: Clerk
    _account: str | None

    def turn(self, lane: Lane) -> Turn:
        """See `Pace.turn`."""
        return _SharedTurn(self._clerk, self._named(lane))

    async def pause(self, lane: Lane, seconds: float) -> None:
        """See `Pace.pause`."""
        self._clerk.pause(self._named(lane), seconds)

    def _named(self, lane: Lane) -> Lane:
        return lane if self._account is None else evolve(lane, account=self._account)


def in_force(name: str, state: LaneState, now: float) -> LaneInForce:
    """Say how a lane stands in its store."""
    account, _, family = name.rpartition(" ")
    alive = [member for member in state.members.values() if member.until > now]
    return LaneInForce(
        account=account,
        family=family,
        wait=state.spacing.wait(now),
        slowness=state.spacing.slowness,
        busy=sum(member.busy for member in alive),
        waiting=sum(any(t is not None for t in member.tickets) for member in alive),
    )
