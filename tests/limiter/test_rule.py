"""The rule of a shared bucket, with processes on a stepped clock."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limiters import Crowd, Process, busiest

from memories_async import Limit
from memories_async.limiter import Priority
from memories_async.limiter._gcra import BATCH_SHARE, Gcra
from memories_async.limiter._rule import (
    OVERDUE,
    BucketState,
    Lease,
    Request,
    Response,
    order,
    pause_after_loss,
    step,
)

CROWDS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.floats(0, 2), st.floats(0.5, 30)),
    min_size=1,
    max_size=6,
)


def crowd(limit, *members, seconds=0.1):
    """Processes of so many interactive and batch calls, and the times they start and die."""
    processes = [
        Process(f"p{n}", [interactive, batch], due=start, dies_at=dies)
        for n, (interactive, batch, start, dies) in enumerate(members)
    ]
    return Crowd(limit, processes, call_seconds=seconds)


@given(CROWDS, st.sampled_from([1, 10]), st.integers(1, 5), st.floats(0.01, 3))
def test_whatever_processes_do_the_limit_holds_and_all_survivors_are_served(
    members, rate, concurrency, seconds
):
    """No window above the rate, no slot too many, no permit lost: also where some are killed."""
    one = crowd(Limit(rate, concurrency=concurrency), *members, seconds=seconds)
    one.run()

    assert busiest([at for at, _, _ in one.permits]) <= rate
    assert one.most_busy <= concurrency
    assert all(p.waiting == [0, 0] for p in one.processes if one.now < p.dies_at)


def test_processes_take_turns():
    """Shares are equal at any time, not only at the end."""
    one = crowd(Limit(10), *[(50, 0, 0.0, 1e9)] * 4)
    one.run()
    half = Counter(name for _, name, _ in one.permits[:100])

    counts = [half[f"p{n}"] for n in range(4)]
    assert max(counts) - min(counts) <= 2


def test_the_whole_rate_is_used():
    """Two hundred permits at ten a second, but for the margin."""
    one = crowd(Limit(10), *[(50, 0, 0.0, 1e9)] * 4)
    one.run()

    assert 199 / (one.permits[-1][0] - one.permits[0][0]) >= 9.75


def test_batches_get_every_fifth_permit():
    """Interactive calls of one process do not starve another's batch."""
    one = crowd(Limit(10), (100, 0, 0.0, 1e9), (0, 10, 0.0, 1e9))
    one.run()
    order = [priority for _, _, priority in one.permits[: 1 + 10 * (BATCH_SHARE + 1)]]

    assert order.count(Priority.BATCH) == 10


def test_an_interactive_call_passes_a_batch():
    """It waits for one permit, not for a hundred."""
    one = crowd(Limit(10), (0, 100, 0.0, 1e9), (1, 0, 5.05, 1e9))
    one.run()

    assert next(at for at, name, _ in one.permits if name == "p1") - 5.05 <= 0.25


def test_a_dead_process_gives_its_slots_back():
    """It held the only slot: the next call begins when its lease is over."""
    one = crowd(Limit(10, concurrency=1), (1, 0, 0.0, 0.05), (1, 0, 0.1, 1e9), seconds=60)
    one.run()

    assert one.permits[1][0] == pytest.approx(5.0, abs=0.2)


def test_a_dead_process_that_waited_costs_a_moment():
    """The next in line has the permit that nobody fetches."""
    one = crowd(Limit(1), (5, 0, 0.0, 0.5), (5, 0, 0.1, 1e9), (5, 0, 0.2, 1e9))
    one.run()
    gaps = [b[0] - a[0] for a, b in pairwise(one.permits)]

    assert max(gaps) <= 2 * Limit(1).gap + 0.3
    assert len(one.permits) == 11


def test_a_process_that_stops_for_a_moment_costs_the_others_a_gap():
    """Eight at fifty a second: nobody waits longer than 20 ms for a tick that is not fetched."""
    limit = Limit(50)
    one = crowd(limit, (25, 0, 0.0, 0.5), *[(25, 0, 0.0, 1e9)] * 7)
    one.run()
    gaps = [b[0] - a[0] for a, b in pairwise(one.permits)]

    assert max(gaps) <= 2 * limit.gap + OVERDUE
    assert sum(gaps) <= (len(gaps) + 2) * limit.gap + OVERDUE


@pytest.mark.parametrize("jump", [-3600.0, -0.2, 3600.0])
def test_a_clock_that_jumps_changes_nothing_but_one_tick(jump):
    """Put back an hour, nobody waits for it; put forward, one permit may come early."""
    one = crowd(Limit(1), (20, 0, 0.0, 1e9))
    one.run(until=5.5)
    first = len(one.permits)
    jumped = one.state
    state, response = step(jumped, Request(member="p0", wants=(0, 2, 0)), Limit(1), one.now + jump)

    assert state.gcra.wait(one.now + jump) <= 2 * Limit(1).gap
    assert first == 6
    assert response.again <= 2 * Limit(1).gap


def test_a_request_that_is_lost_or_repeated_does_no_harm():
    """A member says all it holds, never a change of it."""
    limit, request = Limit(1, concurrency=2), Request(member="a", busy=1, wants=(0, 1, 0))
    state, _ = step(BucketState(), request, limit, 10.0)
    for _ in range(5):
        state, response = step(state, request, limit, 10.1)
    state, response = step(state, Request(member="b", wants=(0, 1, 0)), limit, 20.0)

    assert response.granted is Priority.INTERACTIVE
    assert state.leases["b"].busy == 1


def test_a_tick_that_no_request_used_is_given_again():
    """Unless somebody had a permit since: then it is gone."""
    limit = Limit(1)
    state, first = step(BucketState(), Request(member="a", wants=(0, 1, 0)), limit, 10.0)
    back, _ = step(state, Request(member="a", unused=first.number), limit, 10.1)
    state, second = step(state, Request(member="b", wants=(0, 1, 0)), limit, 12.0)
    late, _ = step(state, Request(member="a", unused=first.number), limit, 12.1)

    assert (first.number, second.number) == (1, 2)
    assert back.gcra.wait(10.1) == 0.0
    assert late.gcra.wait(12.1) > 0.8
    assert back.leases == {}


def test_a_pause_binds_every_process():
    """One hears of it, all wait."""
    limit = Limit(1)
    state, _ = step(BucketState(), Request(member="a", pause=30.0, busy=1), limit, 10.0)
    state, response = step(state, Request(member="b", wants=(0, 1, 0)), limit, 11.0)

    assert (response.granted, round(response.again)) == (None, 29)
    assert step(state, Request(member="c"), limit, 11.0)[1].again == inf


def test_a_member_with_a_reservation_keeps_its_place_and_gets_no_second_one():
    """A request that asks for no permit renews the lease."""
    state, _ = step(BucketState(), Request(member="a", wants=(0, 1, 0), early=-1.0), Limit(1), 10.0)

    assert state.permits == 0
    assert state.leases["a"].tickets == (0, 1, 0)


def test_asking_ahead_of_time_reserves_the_tick():
    """A far store is asked early, and says when the permit begins."""
    limit = Limit(1)
    state, _ = step(BucketState(), Request(member="a", wants=(0, 1, 0)), limit, 10.0)
    state, response = step(state, Request(member="a", wants=(0, 1, 0), early=0.05), limit, 10.98)

    assert response.granted is Priority.INTERACTIVE
    assert response.start == pytest.approx(limit.gap - 0.98)


def test_a_late_request_that_held_the_latest_tick_is_sent_at_once():
    """The tick moves to now, and the next one follows a gap later."""
    limit = Limit(1)
    state, first = step(BucketState(), Request(member="a", wants=(0, 1, 0)), limit, 10.0)
    late = Request(member="a", busy=1, wants=(1, 0, 0), unused=first.number)
    moved, response = step(state, late, limit, 10.3)

    assert response.granted is Priority.LATE
    assert response.start == 0.0
    assert moved.gcra.next_at == pytest.approx(10.3 + limit.gap)
    assert moved.leases["a"].busy == 1


def test_late_requests_of_two_processes_are_spaced_before_anybody_else_is_served():
    """Each waits for a tick of its own; calls that have not begun wait behind them."""
    limit, state, served = Limit(1, concurrency=2), BucketState(), []
    for name, at in (("a", 10.0), ("b", 11.02)):
        state, response = step(state, Request(member=name, wants=(0, 1, 0)), limit, at)
        assert response.granted is Priority.INTERACTIVE
    state, _ = step(state, Request(member="c", wants=(0, 1, 0)), limit, 11.5)
    waiting = {"a": (1, 0, 0), "b": (1, 0, 0), "c": (0, 1, 0)}
    for tick in range(1200):
        now = 13.5 + tick / 100
        for name in [*waiting]:
            # Both slots are taken until the late requests have been answered.
            busy = 0 if name == "c" or len(waiting) == 1 else 1
            request = Request(member=name, busy=busy, wants=waiting[name])
            state, response = step(state, request, limit, now)
            if response.granted is not None:
                served.append((now, name))
                del waiting[name]
                state, _ = step(state, Request(member=name), limit, now)

    assert [name for _, name in served] == ["a", "b", "c"]
    assert min(b[0] - a[0] for a, b in pairwise(served)) >= 1.0


def test_a_new_bucket_serves_its_first_member_at_once():
    """The response says when the tick is, its number and when to ask again."""
    asked = Request(member="a", wants=(0, 2, 0))
    state, response = step(BucketState.create(Limit(1), 10.0), asked, Limit(1), 10.0)

    again = pytest.approx(1.02)
    assert response == Response(
        granted=Priority.INTERACTIVE, number=1, start=0.0, again=again, permits=1
    )
    assert (state.permits, state.issued, state.streak, state.seen) == (1, 2, 0, 10.0)
    assert state.leases == {"a": Lease(15.0, 1, (0, 2, 0))}


def test_a_clock_that_was_put_back_moves_every_time_of_the_bucket():
    """Nobody waits longer, and no lease lasts longer."""
    state = BucketState(
        gcra=Gcra(5.0, 2.0, 3.0, 4.0, 3.5),
        streak=1,
        issued=2,
        permits=3,
        seen=5.0,
        leases={"a": Lease(6.0, 1, (0, 2, 0))},
    )

    assert state.shift(-3.0) == BucketState(
        gcra=Gcra(2.0, 2.0, 0.0, 1.0, 0.5),
        streak=1,
        issued=2,
        permits=3,
        seen=2.0,
        leases={"a": Lease(3.0, 1, (0, 2, 0))},
    )
    put_back, _ = step(state, Request(member="b"), Limit(1), 2.0)
    assert put_back == state.shift(-3.0)


def test_a_lease_ends_five_seconds_after_the_latest_request():
    """Its slots are free then, and not before; a request without slots or wishes ends it at once."""
    limit, other = Limit(1, concurrency=1), Request(member="b", wants=(0, 1, 0))
    state, _ = step(BucketState(), Request(member="a", busy=1), limit, 10.0)

    assert step(state, other, limit, 14.9)[1].granted is None
    assert step(state, other, limit, 15.0)[1].granted is Priority.INTERACTIVE
    assert step(state, Request(member="a"), limit, 11.0)[0].leases == {}


def wait_in_line(limit, *names, at, busy=0):
    """A bucket of which *names* want a tick each, in that order."""
    state = BucketState(gcra=Gcra(next_at=at + 1.0))
    for name in names:
        request = Request(member=name, wants=(0, 1, 0), busy=busy if name == names[0] else 0)
        state, response = step(state, request, limit, at)
    return state, response


def test_a_member_asks_again_when_those_before_it_have_had_their_ticks():
    """A tick each; a slower bucket takes longer for it."""
    limit = Limit(1)
    state, response = wait_in_line(limit, "a", "b", "c", at=10.0)
    slow = Gcra(11.0, 2.0)
    again = step(
        BucketState(gcra=slow, leases=state.leases),
        Request(member="b", wants=(0, 1, 0)),
        limit,
        10.0,
    )[1].again

    assert response.again == pytest.approx(1.0 + 2 * 1.02)
    assert again == pytest.approx(1.0 + 2 * 1.02)


def test_a_member_of_a_full_bucket_looks_for_a_slot_from_time_to_time():
    """Every 50 ms, the later in line the less often; late requests have their slots."""
    limit, state = Limit(1, concurrency=1), BucketState()
    for name, busy in (("a", 1), ("b", 0), ("c", 0)):
        request = Request(member=name, busy=busy, wants=(0, 1, 0))
        state, response = step(state, request, limit, 10.0)
    late = step(
        BucketState(gcra=Gcra(10.5), seen=10.0),
        Request(member="a", busy=1, wants=(1, 0, 0)),
        limit,
        10.0,
    )[1]

    # Three in line: twice a tick's distance is longer than three looks.
    assert response.again == pytest.approx(2 * 1.02)
    assert step(state, Request(member="a", busy=1, wants=(0, 1, 0)), limit, 10.0)[1].again == 0.05
    fast = Limit(1000, concurrency=1)
    assert step(state, request, fast, 10.0)[1].again == pytest.approx(0.15)
    assert late.again == pytest.approx(0.5)


def test_a_tick_that_is_not_fetched_soon_goes_to_the_next():
    """The first member loses its place after 20 ms, and keeps its slots."""
    limit = Limit(1)
    state, _ = wait_in_line(limit, "a", "b", at=10.0, busy=1)
    asked = Request(member="b", wants=(0, 1, 0))

    assert step(state, asked, limit, 11.01)[1].granted is None
    after, response = step(state, asked, limit, 11.03)
    assert response.granted is Priority.INTERACTIVE
    assert after.leases["a"] == Lease(15.0, 1)


def test_a_member_that_looks_for_a_slot_keeps_its_place():
    """The tick was due long before the slot was free; the member asked less than 100 ms ago."""
    limit = Limit(1, concurrency=1)
    state, _ = step(BucketState(), Request(member="x", busy=1), limit, 10.0)
    for name, at in (("b", 10.0), ("a", 10.0), ("b", 12.0)):
        state, _ = step(state, Request(member=name, wants=(0, 1, 0)), limit, at)
    state, _ = step(state, Request(member="x"), limit, 12.0)
    asked = Request(member="a", wants=(0, 1, 0))

    assert step(state, asked, limit, 12.09)[1].granted is None
    assert step(state, asked, limit, 12.11)[1].granted is Priority.INTERACTIVE


def test_a_late_request_takes_no_other_slot():
    """It has one since its first tick."""
    limit = Limit(1, concurrency=2)
    state, _ = step(BucketState(), Request(member="a", busy=1), limit, 10.0)
    state, response = step(state, Request(member="a", busy=1, wants=(1, 0, 0)), limit, 13.0)

    assert response.granted is Priority.LATE
    assert state.leases["a"].busy == 1


def test_a_slot_is_given_back_at_once_where_others_may_wait_for_it():
    """From half of the slots on: others may come and wait after the response."""
    limit = Limit(1, concurrency=4)

    def is_contended(busy, wants=(0, 0, 0), leases=None):
        state = BucketState(gcra=Gcra(next_at=99.0), leases=leases or {})
        asked = Request(member="a", busy=busy, wants=wants)
        return step(state, asked, limit, 10.0)[1].is_contended

    other = {"b": Lease(15.0)}
    assert is_contended(2)
    assert is_contended(2, (0, 1, 0))
    assert is_contended(2, leases=other)
    assert not is_contended(1, (0, 1, 0), other)


def test_a_member_with_more_calls_rejoins_at_the_end():
    """One with a single call leaves the line."""
    limit = Limit(1)
    state, _ = step(BucketState(), Request(member="a", wants=(0, 2, 1)), limit, 10.0)

    assert state.leases["a"].tickets == (0, 3, 2)
    assert state.issued == 3
    assert [name for *_, name in order(state.leases, 0)] == ["a", "a"]
    state, _ = step(state, Request(member="a", wants=(0, 1, 0), busy=1), limit, 12.0)
    assert state.leases["a"] == Lease(17.0, 2)


def test_the_line_is_ordered_by_priority_and_ticket():
    """Late requests, then by tickets, a batch call after four interactive ones."""
    leases = {f"i{n}": Lease(99.0, 0, (0, 10 - n, 0)) for n in range(6)}
    leases |= {"b": Lease(99.0, 0, (0, 0, 1)), "l": Lease(99.0, 1, (20, 0, 0))}

    names = [name for *_, name in order(leases, 0)]
    assert names == ["l", "i5", "i4", "i3", "i2", "b", "i1", "i0"]
    assert [name for *_, name in order(leases, 4)][:2] == ["l", "b"]
    assert order({"b": leases["b"]}, 0) == [(Priority.BATCH, 1, "b")]


def test_an_unused_tick_is_given_back_only_by_its_number():
    """Neither no tick nor an older one gives anything back."""
    state, _ = step(BucketState(), Request(member="a", wants=(0, 1, 0)), Limit(1), 10.0)

    assert step(state, Request(member="a", unused=1), Limit(1), 10.5)[0].gcra.wait(10.5) == 0.0
    for unused in (0, 2):
        after, _ = step(state, Request(member="a", unused=unused), Limit(1), 10.5)
        assert after.gcra.next_at == pytest.approx(11.02)


def test_a_pause_after_a_loss_covers_a_gap_and_a_heartbeat():
    """And the quarter of a second by which a tick is reserved ahead of its time."""
    assert pause_after_loss(Limit(1)) == pytest.approx(1.25 + 0.25)
    assert pause_after_loss(Limit(1, per=60)) == pytest.approx(61.2 + 0.25)


def test_a_store_that_lost_its_state_begins_with_a_pause():
    """Whoever remembers a tick of the lost state tells so, and nobody is served for a gap."""
    limit = Limit(1)
    asked = Request(member="a", wants=(0, 1, 0), known=7)
    state, response = step(BucketState.create(limit, 10.0), asked, limit, 10.0)
    later, _ = step(state, Request(member="b", wants=(0, 1, 0)), limit, 10.0 + limit.gap)

    assert (response.granted, response.was_lost) == (None, True)
    assert state.gcra.wait(10.0) == pause_after_loss(limit) > limit.gap
    assert (state.permits, later.permits) == (7, 7)


def test_members_that_remember_different_ticks_cause_one_pause():
    """Each is told of the loss; the pause is not begun again by each."""
    limit = Limit(1)
    state = BucketState.create(limit, 10.0)
    for known in (5, 7, 9):
        asked = Request(member=f"m{known}", wants=(0, 1, 0), known=known)
        state, response = step(state, asked, limit, 10.0 + known / 10)
        assert response.was_lost

    assert state.permits == 9
    assert state.gcra.next_at == pytest.approx(10.5 + pause_after_loss(limit))


def test_a_late_request_does_not_end_the_pause_after_a_loss():
    """Its tick was the latest that it knows of, but others may have had later ones."""
    limit = Limit(1)
    asked = Request(member="a", wants=(0, 1, 0), known=7)
    state, _ = step(BucketState.create(limit, 10.0), asked, limit, 10.0)
    late = Request(member="a", wants=(1, 0, 0), busy=1, unused=7, known=7)
    state, response = step(state, late, limit, 10.1)

    assert response.granted is None
    assert response.again > 1.0


def test_an_older_copy_of_the_state_counts_as_lost():
    """A server that was restored from a snapshot knows fewer ticks than its members."""
    limit, state = Limit(10), BucketState()
    snapshot, _ = step(state, Request(member="a", wants=(0, 1, 0)), limit, 10.0)
    state, second = step(snapshot, Request(member="a", wants=(0, 1, 0)), limit, 11.0)
    restored = Request(member="a", wants=(0, 1, 0), known=second.permits)

    assert step(snapshot, restored, limit, 11.001)[1].granted is None
    assert step(state, restored, limit, 11.2)[1].granted is Priority.INTERACTIVE


def test_a_bucket_of_a_store_that_lost_everything_begins_with_a_pause_for_newcomers_too():
    """The store notes when that was; a bucket that is new long after waits for nothing."""
    limit, asked = Limit(1), Request(member="new", wants=(0, 1, 0))

    assert step(BucketState.create(limit, 10.0, 9.9), asked, limit, 10.0)[1].granted is None
    assert step(BucketState.create(limit, 99.0, 9.9), asked, limit, 99.0)[1].granted is not None
    assert step(BucketState.create(limit, 10.0), asked, limit, 10.0)[1].granted is not None
