"""One bucket as one process sees it: its own line, what the store knows of it, and when to speak."""

from __future__ import annotations

from math import inf

from attrs import define, evolve, field

from memories_async.limiter._limits import Bucket, Priority
from memories_async.limiter._rule import LEASE, Answer, Word
from memories_async.limiter._wait_queue import STALLED, Line, Waiter

HEARTBEAT = LEASE / 4
"""Seconds between two words of a member that holds or waits."""


@define(eq=False, kw_only=True)
class Grant:
    """A permit that the store gave this process, and nobody here has taken yet."""

    number: int
    start: float
    """When it begins."""
    fault: str | None


@define(eq=False)
class Desk:
    """Times are of this process's monotonic clock. The clerk holds the lock."""

    bucket: Bucket
    line: Line = field(factory=Line)
    busy: int = 0
    """Slots held, that of a grant included."""
    grant: Grant | None = None
    told: Word = Word(member="")  # noqa: RUF009  # frozen
    """What the store knows."""
    heard_at: float = 0.0
    ask_at: float = inf
    scarce: bool = False
    pause_until: float | None = None
    """A pause that the store may not know of yet."""
    is_news: bool = False
    late: float = 0.0
    unused: int = 0
    leaving: bool = False
    """Whether everything is to be told at once, since the process ends."""

    def take(self, waiter: Waiter, now: float) -> Grant | None:
        """Take the permit if there is one, and it is *waiter*'s."""
        grant = self.grant
        if grant is None or now < grant.start or self.line.first(now) is not waiter:
            return None
        self.grant = None
        self.line.passed(waiter)
        return grant

    def left(self, start: float, now: float) -> None:
        """Note a request that left late after its permit."""
        self.late += max(0.0, now - start - self.bucket.limit.slack)

    def pause(self, seconds: float, now: float) -> None:
        """Hold back, whatever was granted already."""
        self.pause_until, self.is_news = max(now + seconds, self.pause_until or 0.0), True
        self._hand_back()

    def offer(self, now: float) -> float:
        """Wake whoever the grant is for, or hand it back; returns when to look again."""
        if self.grant is None:
            return inf
        first = self.line.first(now)
        if first is None:
            self._hand_back()
            return now
        if now < self.grant.start:
            return self.grant.start
        if first.woken_at is None:
            first.wake(now)
        return first.woken_at + STALLED if first.woken_at is not None else now

    def speak_at(self, now: float) -> float:
        """When the store must hear of this bucket again."""
        wants, told = self.wants(now), self.told.wants
        changed = [bool(w) for w in wants] != [bool(w) for w in told]
        freed = self.busy < self.told.busy and (self.scarce or self.leaving)
        if changed or freed or self.late or self.unused or self.is_news:
            return now
        if not (self.busy or self.told.busy or any(wants)):
            return inf
        beat = self.heard_at + HEARTBEAT
        return min(beat, self.ask_at) if any(wants) and self.grant is None else beat

    def wants(self, now: float) -> tuple[int, int]:
        """Count who waits here and has no grant yet, up to two of each priority."""
        counts = [self.line.count(priority, now) for priority in Priority]
        first = None if self.grant is None else self.line.first(now)
        if first is not None:
            counts[first.priority] -= 1
        return counts[0], counts[1]

    def word(self, member: str, now: float, early: float) -> Word:
        """Say everything, and note it as said."""
        if self.pause_until is not None and self.pause_until <= now:
            self.pause_until = None
        word = Word(
            member=member,
            busy=self.busy,
            wants=self.wants(now),
            early=early if self.grant is None else -1.0,
            pause=None if self.pause_until is None else self.pause_until - now,
            late=self.late,
            unused=self.unused,
        )
        self.late, self.unused, self.is_news = 0.0, 0, False
        return word

    def heard(
        self, word: Word, answer: Answer, *, at: float, now: float, fault: str | None
    ) -> None:
        """Take the answer in, given *at* that time; *fault* says why it is this process's own."""
        if fault is None and not self.is_news:
            self.pause_until = None
        self.told, self.heard_at, self.scarce = word, now, answer.scarce
        self.ask_at = at + answer.again
        if answer.granted is None:
            return
        left = [
            max(0, n - (p == answer.granted)) for p, n in zip(Priority, word.wants, strict=True)
        ]
        self.told = evolve(word, wants=(left[0], left[1]), busy=word.busy + 1)
        self.busy += 1
        self.grant = Grant(number=answer.permit, start=at + answer.start, fault=fault)
        if self.is_news:
            # The service asked for a pause while the store granted this.
            self._hand_back()

    def _hand_back(self) -> None:
        if self.grant is not None:
            self.unused, self.grant = self.grant.number, None
            self.busy -= 1
