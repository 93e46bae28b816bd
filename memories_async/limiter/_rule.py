"""The rules of a bucket that processes share: places, slots and leases. Pure: the clock is passed in.

Beside its `Spacing` such a bucket knows its *members*, one for each process: how many slots a member
holds, whether it waits, and until when it counts as alive. A member sends its whole situation with
every `Word`, never a change of it: a word that is lost or repeated does no harm, and one that
comes no more gives everything back. `redis.lua` says the same in Lua; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field, frozen

from memories_async.limiter._gcra import Spacing, choose, streak_after
from memories_async.limiter._limits import Limit, Priority

LEASE = 5.0
"""Seconds after its last word that a member, and the slots it holds, are given up."""
OVERDUE = 0.25
"""Seconds after which a permit that its member does not fetch goes to the next in line."""
SLOT_POLL = 0.05
"""Seconds between two looks for a free slot."""
NEVER = 1e9
"""Seconds: longer than anybody waits. A number, since JSON and Lua have no good infinity."""


Tickets = tuple[int | None, int | None]


@frozen(kw_only=True)
class Member:
    """What a bucket knows of one process."""

    until: float
    """When it is given up, unless it is heard of again."""
    busy: int = 0
    tickets: Tickets = (None, None)
    """Its places in line, interactive and batch; the lower number goes first."""


@frozen(kw_only=True)
class BucketState:
    """What everybody has to know of a bucket."""

    spacing: Spacing = field(factory=Spacing)
    streak: int = 0
    issued: int = 0
    """Tickets so far."""
    permits: int = 0
    """Turns so far."""
    free_at: float = 0.0
    """Until when, at least, all slots were taken."""
    seen: float = 0.0
    """When the latest word came."""
    members: Mapping[str, Member] = field(factory=dict[str, Member])

    def shifted(self, by: float) -> BucketState:
        """The same state on a clock that was put forward by *by*."""
        members = {n: evolve(m, until=m.until + by) for n, m in self.members.items()}
        return evolve(
            self,
            spacing=self.spacing.shifted(by),
            free_at=self.free_at + by,
            seen=self.seen + by,
            members=members,
        )


@frozen(kw_only=True)
class Word:
    """What a member tells a bucket, and asks of it."""

    member: str
    busy: int = 0
    """Slots it holds."""
    wants: tuple[int, int] = (0, 0)
    """Calls that wait, interactive and batch; more than two count as two."""
    early: float = 0.0
    """Seconds before its time that a permit is taken; less than 0 asks for none."""
    pause: float | None = None
    """Seconds for which the service asked everybody to wait."""
    late: float = 0.0
    """Seconds, beyond the slack, by which a request left after its permit began."""
    unused: int = 0
    """The number of a permit that nobody used; 0 for none."""


@frozen(kw_only=True)
class Answer:
    """What a bucket answers."""

    granted: Priority | None = None
    permit: int = 0
    """The number of the granted permit."""
    start: float = 0.0
    """Seconds until the granted permit begins; less than 0 if that is past."""
    again: float = NEVER
    """Seconds after which it makes sense to ask for the next one."""
    scarce: bool = False
    """Whether slots are scarce, so that others wait for one to be given back."""


Place = tuple[Priority, int, str]


def hear(state: BucketState, word: Word, limit: Limit, now: float) -> tuple[BucketState, Answer]:
    """Take a member's *word* in, and answer it: one visit to the bucket."""
    # A clock that was put back would hold everybody up, and make leases endless.
    state = state.shifted(now - state.seen) if now < state.seen else state
    state = _noted(evolve(state, seen=now, spacing=_told(state, word, limit, now)), word, now)
    busy = sum(member.busy for member in state.members.values())
    full = busy >= limit.concurrency
    state = evolve(state, free_at=now) if full else state
    due = max(state.spacing.next_at, state.free_at)
    if now > due + OVERDUE:
        state = _without_absent(state, word.member)
    line = order(state)
    is_first = bool(line) and line[0][2] == word.member
    if is_first and not full and state.spacing.wait(now) <= word.early:
        return _granted(state, word, limit, now, busy=busy + 1, priority=line[0][0])
    return state, Answer(
        again=_again(state, word, limit, now, full=full), scarce=2 * busy >= limit.concurrency
    )


def order(state: BucketState) -> list[Place]:
    """List who waits, in the order in which they will be served."""
    lines = [
        sorted((t, name) for name, m in state.members.items() if (t := m.tickets[p]) is not None)
        for p in Priority
    ]
    streak, served = state.streak, list[Place]()
    while (p := choose(streak, interactive=bool(lines[0]), batch=bool(lines[1]))) is not None:
        ticket, name = lines[p].pop(0)
        served.append((p, ticket, name))
        streak = streak_after(streak, p, batch=bool(lines[1]))
    return served


def _told(state: BucketState, word: Word, limit: Limit, now: float) -> Spacing:
    """Take in what the word says of the rate."""
    spacing = state.spacing
    # Once others had a permit after it, the unused one is gone: giving it again would be a burst.
    if word.unused and word.unused == state.permits:
        spacing = spacing.returned(limit)
    if word.late > 0:
        spacing = spacing.delayed(now, word.late, limit)
    return spacing if word.pause is None else spacing.paused(now, word.pause)


def _noted(state: BucketState, word: Word, now: float) -> BucketState:
    """Write down who is alive and who waits."""
    members = {name: m for name, m in state.members.items() if m.until > now}
    before = members.pop(word.member, Member(until=0.0))
    if not (word.busy or any(word.wants)):
        return evolve(state, members=members)
    issued, tickets = state.issued, list[int | None]()
    for held, wanted in zip(before.tickets, word.wants, strict=True):
        issued += bool(wanted and held is None)
        tickets.append(None if not wanted else issued if held is None else held)
    members[word.member] = Member(
        until=now + LEASE, busy=word.busy, tickets=(tickets[0], tickets[1])
    )
    return evolve(state, members=members, issued=issued)


def _without_absent(state: BucketState, present: str) -> BucketState:
    """Take everybody out of line who did not come for a permit that was theirs before *present*'s."""
    absent = set[str]()
    for _, _, name in order(state):
        if name == present:
            break
        absent.add(name)
    else:
        return state
    members = {
        name: evolve(m, tickets=(None, None)) if name in absent else m
        for name, m in state.members.items()
    }
    return evolve(state, members=members)


def _granted(
    state: BucketState, word: Word, limit: Limit, now: float, *, busy: int, priority: Priority
) -> tuple[BucketState, Answer]:
    me = state.members[word.member]
    issued = state.issued
    tickets = list(me.tickets)
    # Whoever has more calls waiting lines up again at the end: processes take permits.
    issued += word.wants[priority] > 1
    tickets[priority] = issued if word.wants[priority] > 1 else None
    mine = evolve(me, busy=me.busy + 1, tickets=(tickets[0], tickets[1]))
    members = {**state.members, word.member: mine}
    streak = streak_after(state.streak, priority, batch=_batch_waits(members))
    start = state.spacing.begun(now, limit) - now
    state = evolve(
        state,
        members=members,
        issued=issued,
        permits=state.permits + 1,
        streak=streak,
        spacing=state.spacing.taken(now, limit),
        free_at=now if busy >= limit.concurrency else state.free_at,
    )
    again = _again(state, word, limit, now, full=busy >= limit.concurrency)
    scarce = 2 * busy >= limit.concurrency
    return state, Answer(
        granted=priority, permit=state.permits, start=start, again=again, scarce=scarce
    )


def _batch_waits(members: Mapping[str, Member]) -> bool:
    return any(m.tickets[Priority.BATCH] is not None for m in members.values())


def _again(state: BucketState, word: Word, limit: Limit, now: float, *, full: bool) -> float:
    """Seconds until a permit can be the member's: by then everybody before it will have had one."""
    ahead = [name for _, _, name in order(state)]
    if word.member not in ahead:
        return NEVER
    rank = ahead.index(word.member)
    gap = limit.gap * state.spacing.slowness
    wait = state.spacing.wait(now) + rank * gap
    return max(wait, SLOT_POLL * (rank + 1)) if full else wait
