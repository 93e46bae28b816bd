"""The arithmetic of the rate, on a clock that is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limiters import busiest

from memories_async import Limit, Limits
from memories_async.limiter import Priority
from memories_async.limiter._gcra import Gcra, choose, count_streak
from memories_async.limiter._limits import MARGIN

LIMITS = st.builds(Limit, st.integers(1, 500).map(float), per=st.sampled_from([0.5, 1.0, 60.0]))


@given(LIMITS, st.lists(st.floats(0, 3), min_size=2, max_size=400))
def test_no_window_holds_more_ticks_than_the_limit(limit, naps):
    """However ticks are asked for: with the slack, and half the margin left for the network."""
    gcra, now, taken = Gcra(), 1000.0, []
    for nap in naps:
        now += max(gcra.wait(now), nap * limit.interval)
        taken.append(now)
        gcra = gcra.take(now, limit)

    way = limit.per * MARGIN / 2
    assert busiest(taken, limit.per + way - 1e-6 * limit.per) <= limit.rate


def test_a_lone_call_waits_for_nothing():
    """An idle account lets a call go at once."""
    assert Gcra().take(10.0, Limit(1)).wait(60.0) == 0.0


def test_waking_late_costs_no_rate():
    """Ticks that are taken 4 ms after their time keep to the schedule."""
    limit, gcra, now = Limit(10), Gcra(), 100.0
    for _ in range(1000):
        now += gcra.wait(now) + 0.004
        gcra = gcra.take(now, limit)

    assert now - 100.0 == pytest.approx(1000 * limit.gap, rel=0.01)


def test_a_tick_on_schedule_leaves_half_the_slack_to_the_request():
    """A request that is prepared within 5 ms of its permit needs no other tick."""
    limit, gcra = Limit(10), Gcra(next_at=10.0)
    for late in (0.0, 0.004, 0.012, 0.039):
        assert 10.0 + late - gcra.take(10.0 + late, limit).latest <= limit.slack / 2 + 1e-9


def test_requests_that_are_few_may_be_held_up_for_long():
    """Five slots are a hundredth of 500 a second: all five held up together break no limit."""
    limit, gcra, now, sent = Limit(500, concurrency=5), Gcra(), 1000.0, []
    for number in range(1500):
        now += gcra.wait(now)
        gcra = gcra.take(now, limit)
        sent.append(now + limit.max_delay * (number % 490 < limit.concurrency))

    assert (limit.max_delay, Limit(500, concurrency=6).max_delay) == (limit.per, limit.slack)
    assert busiest(sorted(sent), limit.per) <= limit.rate


def test_an_immediate_tick_waits_for_its_request_to_be_ready():
    """The response of a store that is 40 ms away finds its tick still ahead."""
    limit = Limit(1)

    assert Gcra().take(10.0, limit, ready_in=0.04).latest == 10.04
    assert Gcra(next_at=10.2).take(10.0, limit, ready_in=0.04).latest == 10.2


def test_a_refusal_halves_the_rate_and_pauses_everybody():
    """After the pause, ticks come half as often."""
    limit = Limit(1)
    gcra = Gcra().take(10.0, limit).pause(10.5, 5.0)
    after = gcra.take(15.5, limit)

    assert gcra.wait(10.5) == pytest.approx(5.0)
    assert after.wait(15.5) == pytest.approx(2 * limit.gap)


def test_refusals_of_one_moment_halve_the_rate_once():
    """Sixty calls in flight are refused together: they tell one thing."""
    gcra = Gcra()
    for n in range(60):
        gcra = gcra.pause(10.0 + n / 1000, 2.0)

    assert gcra.slowness == 2.0


def test_the_rate_never_falls_below_a_sixteenth():
    """It does not stop either."""
    gcra = Gcra()
    for n in range(60):
        gcra = gcra.pause(10.0 * n, 2.0)

    assert gcra.slowness == 16.0


def test_the_rate_grows_back():
    """Fourteen ticks after a refusal the bucket is at its full rate."""
    limit, gcra = Limit(1), Gcra().pause(0.0, 1.0)
    for _ in range(14):
        gcra = gcra.take(gcra.next_at, limit)

    assert gcra.slowness == 1.0


def test_a_bucket_behind_its_schedule_catches_up_and_an_idle_one_starts_anew():
    """By half the slack of 10 ms; it is idle once it is more than four times the slack behind."""
    limit = Limit(1)

    assert Gcra().take(0.0, limit).latest == 0.0
    assert Gcra(next_at=10.0).take(10.002, limit).latest == 10.0
    assert Gcra().take(0.04, limit).latest == pytest.approx(0.035)
    assert Gcra().take(0.045, limit).latest == 0.045


def test_a_new_bucket_is_at_its_full_rate_and_not_paused():
    """Its first tick is due at once, and its first refusal counts."""
    assert Gcra().wait(0.0) == 0.0
    assert Gcra().take(0.0, Limit(1)).next_at == pytest.approx(1.02)
    assert Gcra().pause(0.5, 0.1) == Gcra(0.6, 2.0, 0.6)


def test_a_refusal_at_the_end_of_a_pause_halves_the_rate_again():
    """It is of a request that was sent after the pause; one before its end is not."""
    paused = Gcra().pause(10.0, 2.0)

    assert paused.pause(11.9, 2.0).slowness == 2.0
    assert paused.pause(12.0, 2.0).slowness == 4.0


def test_a_bucket_whose_state_was_lost_has_no_tick_before_a_time():
    """Nothing of what was granted can be given back; rate and pause stay."""
    gcra = Gcra(5.0, 2.0, 3.0, 4.0)

    assert gcra.hold(9.0) == Gcra(9.0, 2.0, 3.0)
    assert gcra.hold(2.0) == Gcra(5.0, 2.0, 3.0)
    assert gcra.hold(9.0).give_back() == gcra.hold(9.0)


def test_a_clock_that_is_put_forward_moves_every_time_of_the_bucket():
    """The rate stays."""
    assert Gcra(5.0, 2.0, 3.0, 4.0, 1.0).shift(10.0) == Gcra(15.0, 2.0, 13.0, 14.0, 11.0)


def test_the_streak_counts_only_interactive_calls_that_pass_a_batch_call():
    """A batch call, or nobody of that kind waiting, ends it."""
    assert count_streak(3, Priority.INTERACTIVE, batch_waits=True) == 4
    assert count_streak(3, Priority.INTERACTIVE, batch_waits=False) == 0
    assert count_streak(3, Priority.BATCH, batch_waits=True) == 0
    assert choose(4, (False, True, False)) is Priority.INTERACTIVE
    assert choose(0, (False, False, True)) is Priority.BATCH


def test_a_shorter_pause_does_not_end_a_longer_one():
    """The longest pause that the service asked for holds."""
    assert Gcra().pause(10.0, 30.0).pause(11.0, 1.0).wait(11.0) == pytest.approx(29.0)


def test_an_unused_tick_can_be_given_back():
    """The next call waits for nothing, but a pause holds; twice changes nothing."""
    limit = Limit(1)
    taken = Gcra().take(10.0, limit)

    assert taken.give_back().wait(10.0) == 0.0
    assert taken.give_back().give_back() == taken.give_back()
    assert taken.pause(10.0, 9.0).give_back().wait(10.0) == pytest.approx(9.0)


def test_a_tick_that_was_taken_ahead_delays_nobody_once_it_is_given_back():
    """A late request had it reserved half a second after the schedule, and was cancelled."""
    taken = Gcra(next_at=10.0).take(9.5, Limit(1), ready_in=1.0)

    assert taken.latest == 10.5
    assert taken.give_back().next_at == 10.0


def test_every_fifth_permit_is_a_batchs_while_one_waits():
    """Interactive calls go first, and starve no batch."""
    streak, served = 0, []
    for _ in range(10):
        priority = choose(streak, (False, True, True))
        streak = count_streak(streak, priority, batch_waits=True)
        served.append(priority)

    assert served == [*[Priority.INTERACTIVE] * 4, Priority.BATCH] * 2
    assert choose(0, (False, False, False)) is None


def test_a_late_request_is_served_before_all_others():
    """It holds a slot and a connection; it does not count among the interactive calls."""
    assert choose(4, (True, True, True)) is Priority.LATE
    assert count_streak(3, Priority.LATE, batch_waits=True) == 3


def test_every_family_has_its_documented_limit():
    """A changed limit says so."""
    described = {one.family: one for one in Limits(search=Limit(10)).describe()}

    assert described["search"].source == "Client(limits=...)"
    assert described["video_upload"].source == "documented"
    assert described["video_upload"].limit.interval == 60.0
    assert (described["video_list"].limit.rate, described["video_delete"].limit.rate) == (5, 1)
    assert str(described["search"].limit) == "10 every 1 s, 64 at once"


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"rate": 1, "per": -1}, {"rate": 1, "concurrency": 0}]
)
def test_a_limit_that_lets_nothing_through_is_refused(wrong):
    """At once, where it is written."""
    with pytest.raises(ValueError, match="must be"):
        Limit(**wrong)
