"""The rate of a bucket and who goes first in it, as arithmetic. Pure: the clock is passed in.

A generic cell rate algorithm (GCRA): one number, the time of the next permit.
"""

from __future__ import annotations

from attrs import frozen

from memories_async.limiter._limits import Limit, Priority

SLOWEST = 16.0
"""How many times slower than its limit a bucket gets at most, however often it is refused."""
RECOVERY = 0.95
"""What a permit multiplies the slowness by, until the full rate is back: after 14 permits from half."""
IDLE = 4.0
"""How many times its slack a bucket is behind its plan before it counts as idle."""
BATCH_SHARE = 4
"""Interactive permits in a row, at most, while a batch call waits."""


@frozen
class Spacing:
    """The state of a bucket's rate."""

    next_at: float = 0.0
    slowness: float = 1.0
    paused_until: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next permit."""
        return max(0.0, self.next_at - now)

    def begun(self, now: float, limit: Limit) -> float:
        """When a permit that is taken *now* began: by the plan, as long as there is one.

        A line that is behind its plan catches up by the slack; an idle bucket begins anew.
        """
        is_idle = now - self.next_at > IDLE * limit.slack
        return now if is_idle else max(now - limit.slack, self.next_at)

    def taken(self, now: float, limit: Limit) -> Spacing:
        """The state once a permit was taken *now*."""
        slowness = self.slowness
        recovered = max(1.0, slowness * RECOVERY)
        begun = self.begun(now, limit)
        return Spacing(begun + limit.gap * slowness, recovered, self.paused_until)

    def returned(self, limit: Limit) -> Spacing:
        """The state once the latest permit was given back unused."""
        earlier = max(self.paused_until, self.next_at - limit.gap * self.slowness)
        return Spacing(earlier, self.slowness, self.paused_until)

    def delayed(self, now: float, delay: float, limit: Limit) -> Spacing:
        """The state once a request left only *now*, *delay* seconds later than the slack allows.

        To the service the permit was taken now: the next one follows a gap later, and permits that
        were given meanwhile are made up for.
        """
        shift = min(delay, limit.gap * self.slowness)
        return Spacing(max(now, self.next_at) + shift, self.slowness, self.paused_until)

    def paused(self, now: float, seconds: float) -> Spacing:
        """The state once the service refused a permit for its rate.

        Refusals that come in during a pause are of requests that left before it: they prolong the
        pause, and halve the rate no further.
        """
        until = max(self.paused_until, now + seconds)
        halved = self.slowness if now < self.paused_until else min(SLOWEST, self.slowness * 2)
        return Spacing(max(self.next_at, until), halved, until)

    def shifted(self, by: float) -> Spacing:
        """The same state on a clock that was put forward by *by*."""
        return Spacing(self.next_at + by, self.slowness, self.paused_until + by)


def choose(streak: int, *, interactive: bool, batch: bool) -> Priority | None:
    """Say which priority has the next permit, *streak* interactive ones having passed batch calls."""
    if interactive and not (batch and streak >= BATCH_SHARE):
        return Priority.INTERACTIVE
    return Priority.BATCH if batch else None


def streak_after(streak: int, taken: Priority, *, batch: bool) -> int:
    """Count the interactive permits that passed waiting *batch* calls, one more taken."""
    return streak + 1 if taken is Priority.INTERACTIVE and batch else 0
