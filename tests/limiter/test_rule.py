"""The rules of a shared bucket, with processes on a stepped clock."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limiters import Crowd, Process, busiest

from memories_async import Limit
from memories_async.limiter._gcra import BATCH_SHARE
from memories_async.limiter._limits import Priority
from memories_async.limiter._rule import LEASE, NEVER, BucketState, Word, hear

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


def test_batches_get_every_fifth_turn_of_a_crowd():
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

    assert one.permits[1][0] == pytest.approx(LEASE, abs=0.2)


def test_a_dead_process_in_line_costs_a_moment():
    """The next in line has the permit that nobody fetches."""
    one = crowd(Limit(1), (5, 0, 0.0, 0.5), (5, 0, 0.1, 1e9), (5, 0, 0.2, 1e9))
    one.run()
    gaps = [b[0] - a[0] for a, b in zip(one.permits, one.permits[1:], strict=False)]

    assert max(gaps) <= 2 * Limit(1).gap + 0.3
    assert len(one.permits) == 11


@pytest.mark.parametrize("step", [-3600.0, -0.2, 3600.0])
def test_a_clock_that_jumps_changes_nothing_but_one_turn(step):
    """Put back an hour, nobody waits for it; put forward, one permit may come early."""
    one = crowd(Limit(1), (20, 0, 0.0, 1e9))
    one.run(until=5.5)
    first = len(one.permits)
    jumped = one.state
    state, answer = hear(jumped, Word(member="p0", wants=(2, 0)), Limit(1), one.now + step)

    assert state.spacing.wait(one.now + step) <= 2 * Limit(1).gap
    assert first == 6
    assert answer.again <= 2 * Limit(1).gap


def test_a_word_that_is_lost_or_repeated_does_no_harm():
    """A member says all it holds, never a change of it."""
    limit, word = Limit(1, concurrency=2), Word(member="a", busy=1, wants=(1, 0))
    state, _ = hear(BucketState(), word, limit, 10.0)
    for _ in range(5):
        state, answer = hear(state, word, limit, 10.1)
    state, answer = hear(state, Word(member="b", wants=(1, 0)), limit, 20.0)

    assert answer.granted is Priority.INTERACTIVE
    assert state.members["b"].busy == 1


def test_a_turn_that_nobody_used_is_given_again():
    """Unless somebody had a permit since: then it is gone."""
    limit = Limit(1)
    state, first = hear(BucketState(), Word(member="a", wants=(1, 0)), limit, 10.0)
    back, _ = hear(state, Word(member="a", unused=first.permit), limit, 10.1)
    state, second = hear(state, Word(member="b", wants=(1, 0)), limit, 12.0)
    late, _ = hear(state, Word(member="a", unused=first.permit), limit, 12.1)

    assert (first.permit, second.permit) == (1, 2)
    assert back.spacing.wait(10.1) == 0.0
    assert late.spacing.wait(12.1) > 0.8
    assert back.members == {}


def test_a_pause_binds_every_process():
    """One hears of it, all wait."""
    limit = Limit(1)
    state, _ = hear(BucketState(), Word(member="a", pause=30.0, busy=1), limit, 10.0)
    state, answer = hear(state, Word(member="b", wants=(1, 0)), limit, 11.0)

    assert (answer.granted, round(answer.again)) == (None, 29)
    assert hear(state, Word(member="c"), limit, 11.0)[1].again == NEVER


def test_whoever_holds_a_grant_keeps_its_place_and_gets_no_second_one():
    """A word that asks for no permit renews the lease."""
    state, _ = hear(BucketState(), Word(member="a", wants=(1, 0), early=-1.0), Limit(1), 10.0)

    assert state.permits == 0
    assert state.members["a"].tickets == (1, None)


def test_asking_ahead_of_time_reserves_the_turn():
    """A far store is asked early, and says when the permit begins."""
    limit = Limit(1)
    state, _ = hear(BucketState(), Word(member="a", wants=(1, 0)), limit, 10.0)
    state, answer = hear(state, Word(member="a", wants=(1, 0), early=0.05), limit, 10.98)

    assert answer.granted is Priority.INTERACTIVE
    assert answer.start == pytest.approx(limit.gap - 0.98)


def test_late_requests_reach_the_bucket():
    """What left late holds the others back."""
    limit = Limit(1)
    state, _ = hear(BucketState(), Word(member="a", wants=(1, 0)), limit, 10.0)
    moved, _ = hear(state, Word(member="a", busy=1, late=0.3), limit, 10.3)

    assert moved.spacing.next_at == pytest.approx(state.spacing.next_at + 0.3)
