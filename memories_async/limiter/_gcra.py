"""How often, how many at once, and who first: the limiter's arithmetic. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from memories_async.limiter._limits import BATCH, INTERACTIVE, LATE, Limit, Priority

MAX_SLOWNESS = 16.0
"""How many times slower than its limit a bucket gets at most, however often it is refused."""
RECOVERY = 0.95
"""Each tick multiplies the slowness by this, down to 1: after 14 ticks from 2."""
IDLE = 4.0
"""A bucket that is this many times its slack behind its schedule is idle."""
BATCH_SHARE = 4
"""Interactive permits in a row, at most, while a batch call waits."""


class Gcra(NamedTuple):
    """The rate of a bucket, by the generic cell rate algorithm: the time of the next tick."""

    next_at: float = 0.0
    slowness: float = 1.0
    """How many times slower than its limit the bucket is, after refusals of the service."""
    paused_until: float = 0.0
    latest: float = -inf
    """The latest tick; -inf if there was none since the bucket was created, or lost its state."""
    before: float = 0.0
    """What `next_at` was before the latest tick."""

    def wait(self, now: float) -> float:
        """Seconds until the next tick."""
        return max(0.0, self.next_at - now)

    def take(self, now: float, limit: Limit, *, ready_in: float = 0.0) -> Gcra:
        """Take the next tick, `latest` of the result, for a request that is ready in some seconds.

        A bucket that is behind its schedule catches up by half the slack; an idle one starts anew.
        """
        next_at, slowness, paused_until, _, _ = self
        ready_at = now + ready_in
        if ready_at - next_at > IDLE * limit.slack:
            tick = ready_at
        else:
            tick = max(ready_at - limit.slack / 2, next_at)
        recovered = max(1.0, slowness * RECOVERY)
        return Gcra(tick + limit.gap * slowness, recovered, paused_until, tick, next_at)

    def give_back(self) -> Gcra:
        """Undo the latest tick, which no request used."""
        if self.latest == -inf:
            return self
        return self._replace(next_at=max(self.paused_until, min(self.next_at, self.before)))

    def pause(self, now: float, seconds: float) -> Gcra:
        """Pause, and halve the rate: the service refused a request for its rate.

        A refusal that arrives during a pause is of a request sent before it. It prolongs the pause,
        and does not halve the rate again.
        """
        until = max(self.paused_until, now + seconds)
        is_news = now >= self.paused_until
        slowness = min(MAX_SLOWNESS, self.slowness * 2) if is_news else self.slowness
        return self._replace(
            next_at=max(self.next_at, until), slowness=slowness, paused_until=until
        )

    def hold(self, until: float) -> Gcra:
        """Have no tick before *until*, whatever was granted: state was lost."""
        return Gcra(max(self.next_at, until), self.slowness, self.paused_until)

    def shift(self, by: float) -> Gcra:
        """Return the same state on a clock that was put forward by *by*."""
        return Gcra(
            self.next_at + by,
            self.slowness,
            self.paused_until + by,
            self.latest + by,
            self.before + by,
        )


def choose(streak: int, waiting: Sequence[object]) -> Priority | None:
    """Choose the priority that is served next of those that wait (a flag, or a queue, for each).

    *streak* interactive calls have passed batch calls.
    """
    if waiting[LATE]:
        return LATE
    if waiting[INTERACTIVE] and not (waiting[BATCH] and streak >= BATCH_SHARE):
        return INTERACTIVE
    return BATCH if waiting[BATCH] else None


def count_streak(streak: int, served: Priority, *, batch_waits: bool) -> int:
    """Count the interactive calls that passed waiting batch calls, *served* being the latest."""
    if served is LATE:
        return streak
    return streak + 1 if served is INTERACTIVE and batch_waits else 0
