"""The rule of a bucket that processes share: rate, slots, order and leases. Pure: the clock is passed in.

A process is a *member* of each bucket that it uses. It holds a lease, which says how many slots it
holds and whether it waits. Each `Request` carries the member's whole situation, never a change of
it: a request that is lost or repeated does no harm, and a member that sends no more loses its lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import NamedTuple

from memories_async.limiter._gcra import Gcra, choose, count_streak
from memories_async.limiter._limits import BATCH, LATE, PRIORITIES, Limit, Priority

LEASE = 5.0
"""Seconds after its latest request for which a member keeps its slots."""
HEARTBEAT = LEASE / 4
"""Seconds between two requests of a member that holds slots or waits."""
OVERDUE = 0.02
"""Seconds after which a tick that its member does not fetch goes to the next in the order."""
ABSENT = 0.1
"""Seconds without a request after which a member that could have fetched its tick is passed over."""
RETURN = 0.25
"""Seconds after a response in which the store is told of a slot that was given back, at most."""
QUICK_RETURN = 0.02
"""The same where half the slots are in use. A busy process tells it with its next call by then."""
SLOT_POLL = 0.05
"""Seconds between two looks for a free slot."""
MAX_LEAD = 0.25
"""Seconds before its time that a tick is reserved, at most."""


class Lease(NamedTuple):
    """What a bucket knows of one member."""

    until: float
    """When it ends, unless the member is heard of again."""
    busy: int = 0
    """Slots that the member holds."""
    tickets: tuple[int, ...] = (0, 0, 0)
    """Its place in the order, by priority; the lower number is served first, 0 is none."""


class BucketState(NamedTuple):
    """A bucket as its store keeps it."""

    gcra: Gcra = Gcra()
    streak: int = 0
    issued: int = 0
    """Tickets so far."""
    permits: int = 0
    """Ticks so far."""
    seen: float = 0.0
    """When the latest request came."""
    leases: Mapping[str, Lease] = MappingProxyType({})

    @classmethod
    def create(cls, limit: Limit, now: float, lost_at: float = -inf) -> BucketState:
        """Create a bucket. It begins with a pause if the store lost its state, at *lost_at*."""
        gcra = Gcra() if lost_at == -inf else Gcra().hold(lost_at + pause_after_loss(limit))
        return cls(gcra=gcra, seen=now)

    def shift(self, by: float) -> BucketState:
        """Return the same state on a clock that was put forward by *by*."""
        leases = {
            name: lease._replace(until=lease.until + by) for name, lease in self.leases.items()
        }
        return self._replace(gcra=self.gcra.shift(by), seen=self.seen + by, leases=leases)


class Request(NamedTuple):
    """What a member tells a bucket, and asks of it."""

    member: str
    busy: int = 0
    """Slots it holds."""
    wants: tuple[int, ...] = (0, 0, 0)
    """Calls that wait, by priority; more than two count as two."""
    early: float = 0.0
    """Seconds before its time that a tick may be reserved; less than 0 asks for none."""
    ready_in: float = 0.0
    """Seconds until the response can be acted on: an immediate tick comes no earlier."""
    pause: float | None = None
    """Seconds for which the service asked the account to wait."""
    unused: int = 0
    """The number of a tick that no request used; 0 for none."""
    known: int = 0
    """The highest number of a tick that the member knows of."""


class Response(NamedTuple):
    """What a bucket responds."""

    granted: Priority | None = None
    number: int = 0
    """The number of the granted tick."""
    start: float = 0.0
    """Seconds until the granted tick; less than 0 if that is past."""
    again: float = inf
    """Seconds after which it makes sense to ask for the next one."""
    permits: int = 0
    """Ticks so far."""
    was_lost: bool = False
    """Whether the store had lost ticks that the member knows of."""
    is_contended: bool = False
    """Whether half the slots are in use, so that one is given back soon."""


Place = tuple[Priority, int, str]


def pause_after_loss(limit: Limit) -> float:
    """Seconds without a tick after a store lost its state.

    By then every tick that was granted before is a gap ago, and every member told of its slots.
    """
    return max(limit.gap, HEARTBEAT) + MAX_LEAD


def step(
    state: BucketState, request: Request, limit: Limit, now: float
) -> tuple[BucketState, Response]:
    """Apply one *request* to a bucket: the new state, and the response."""
    if now < state.seen:
        # A clock that was put back would delay everybody, and make leases endless.
        state = state.shift(now - state.seen)
    gcra, permits = _update_rate(state, request, limit, now)
    leases, issued = _renew_leases(state, request, now)
    streak, granted = state.streak, None
    line = order(leases, streak)
    while line and now > gcra.next_at + OVERDUE:
        _, _, name = line[0]
        lease = leases[name]
        if now <= lease.until - LEASE + ABSENT:
            break
        # It does not fetch the tick that is its own. It keeps its slots, and loses its place.
        leases[name] = Lease(lease.until, lease.busy)
        line = order(leases, streak)
    busy = sum(lease.busy for lease in leases.values())
    can_begin = bool(line) and (line[0][0] is LATE or busy < limit.concurrency)
    if can_begin and line[0][2] == request.member and gcra.wait(now) <= request.early:
        granted = line[0][0]
        gcra, permits = gcra.take(now, limit, ready_in=request.ready_in), permits + 1
        issued = _serve(leases, request, granted, issued)
        batch_waits = any(lease.tickets[BATCH] for lease in leases.values())
        streak = count_streak(streak, granted, batch_waits=batch_waits)
        busy += granted is not LATE
        line = order(leases, streak)
    response = Response(
        granted=granted,
        number=permits if granted is not None else 0,
        start=gcra.latest - now if granted is not None else 0.0,
        again=_next_try(line, request.member, gcra, limit, now, is_full=busy >= limit.concurrency),
        permits=permits,
        was_lost=request.known > state.permits,
        is_contended=2 * busy >= limit.concurrency,
    )
    return BucketState(gcra, streak, issued, permits, now, leases), response


def order(leases: Mapping[str, Lease], streak: int) -> list[Place]:
    """List who waits, in the order in which they are served."""
    places = [
        (PRIORITIES[number], ticket, name)
        for name, lease in leases.items()
        for number, ticket in enumerate(lease.tickets)
        if ticket
    ]
    if len(places) < 2:  # noqa: PLR2004  # nothing to order, as mostly
        return places
    queues: list[list[Place]] = [[], [], []]
    for place in sorted(places):
        queues[place[0]].append(place)
    line = list[Place]()
    while (priority := choose(streak, queues)) is not None:
        line.append(queues[priority].pop(0))
        streak = count_streak(streak, priority, batch_waits=bool(queues[BATCH]))
    return line


def _update_rate(
    state: BucketState, request: Request, limit: Limit, now: float
) -> tuple[Gcra, int]:
    """Apply what the request says of the rate; returns the number of ticks too."""
    gcra, permits = state.gcra, state.permits
    if request.known > permits:
        # The store lost ticks that were granted: it was emptied, or is an older copy. One pause is
        # enough for all members that remember a tick.
        if gcra.latest > -inf or gcra.next_at <= now:
            gcra = gcra.hold(now + pause_after_loss(limit))
        permits = request.known
    elif request.unused and request.unused == permits:
        # Once another tick was granted after it, the unused one is gone: no burst makes up for it.
        gcra = gcra.give_back()
    return gcra if request.pause is None else gcra.pause(now, request.pause), permits


def _renew_leases(state: BucketState, request: Request, now: float) -> tuple[dict[str, Lease], int]:
    """Renew the member's lease and end those of members that are gone; returns the tickets too."""
    leases = {name: lease for name, lease in state.leases.items() if lease.until > now}
    before, issued = leases.pop(request.member, None), state.issued
    if request.busy or any(request.wants):
        tickets = [0, 0, 0] if before is None else [*before.tickets]
        for priority, wanted in enumerate(request.wants):
            if not wanted:
                tickets[priority] = 0
            elif not tickets[priority]:
                issued += 1
                tickets[priority] = issued
        leases[request.member] = Lease(now + LEASE, request.busy, tuple(tickets))
    return leases, issued


def _serve(leases: dict[str, Lease], request: Request, granted: Priority, issued: int) -> int:
    """Grant the member a tick, and a slot unless it has one; returns the number of tickets.

    A member with more calls of the priority rejoins at the end: members take turns.
    """
    lease, has_more = leases[request.member], request.wants[granted] > 1
    issued += has_more
    tickets = [*lease.tickets]
    tickets[granted] = issued if has_more else 0
    busy = lease.busy + (granted is not LATE)
    leases[request.member] = Lease(lease.until, busy, tuple(tickets))
    return issued


def _next_try(
    line: Sequence[Place], member: str, gcra: Gcra, limit: Limit, now: float, *, is_full: bool
) -> float:
    """Seconds until a tick can be the member's: by then all before it will have had theirs."""
    for rank, (priority, _, name) in enumerate(line):
        if name == member:
            wait = gcra.wait(now) + rank * limit.gap * gcra.slowness
            has_slot = priority is LATE or not is_full
            return wait if has_slot else max(wait, SLOT_POLL * (rank + 1))
    return inf
