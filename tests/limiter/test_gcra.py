"""The rate of a bucket, as arithmetic: nothing waits here, the time is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limiters import busiest

from memories_async import Limit, Limits
from memories_async.limiter._gcra import SLOWEST, Spacing, choose, streak_after
from memories_async.limiter._limits import MARGIN

LIMITS = st.builds(Limit, st.integers(1, 500).map(float), per=st.sampled_from([0.5, 1.0, 60.0]))


@given(LIMITS, st.lists(st.floats(0, 3), min_size=2, max_size=400))
def test_no_window_holds_more_turns_than_the_limit(limit, naps):
    """However permits are asked for: with the slack, and half the margin left for the way."""
    spacing, now, taken = Spacing(), 1000.0, []
    for nap in naps:
        now += max(spacing.wait(now), nap * limit.interval)
        taken.append(now)
        spacing = spacing.taken(now, limit)

    way = limit.per * MARGIN / 2
    assert busiest(taken, limit.per + way - 1e-6 * limit.per) <= limit.rate


def test_a_lone_call_waits_for_nothing():
    """An idle account lets a call go at once."""
    assert Spacing().taken(10.0, Limit(1)).wait(60.0) == 0.0


def test_waking_late_costs_no_rate():
    """Turns taken a little after their time keep to the plan."""
    limit, spacing, now = Limit(10), Spacing(), 100.0
    for _ in range(1000):
        now += spacing.wait(now) + 0.009
        spacing = spacing.taken(now, limit)

    assert now - 100.0 == pytest.approx(1000 * limit.gap, rel=0.01)


def test_a_late_request_moves_the_next_turn_by_as_much():
    """Connecting took 300 ms: the service sees a whole gap to the next request."""
    limit = Limit(1)
    spacing = Spacing().taken(10.0, limit).delayed(10.3, 0.3, limit)

    assert spacing.wait(10.3) == pytest.approx(limit.gap)


def test_requests_that_leave_late_together_are_made_up_for():
    """Five connections took half a second each: the permits given meanwhile come on top."""
    limit, spacing = Limit(10), Spacing()
    for at in (10.0, 10.2, 10.4):
        spacing = spacing.taken(at, limit)
    for left in (10.5, 10.7, 10.9):
        spacing = spacing.delayed(left, 0.5, limit)

    assert spacing.wait(10.9) == pytest.approx(limit.gap)


def test_a_refusal_halves_the_rate_and_pauses_everybody():
    """After the pause, permits come half as often."""
    limit = Limit(1)
    spacing = Spacing().taken(10.0, limit).paused(10.5, 5.0)
    after = spacing.taken(15.5, limit)

    assert spacing.wait(10.5) == pytest.approx(5.0)
    assert after.wait(15.5) == pytest.approx(2 * limit.gap)


def test_refusals_of_one_moment_halve_the_rate_once():
    """Sixty calls in flight are refused together: that is one message."""
    spacing = Spacing()
    for n in range(60):
        spacing = spacing.paused(10.0 + n / 1000, 2.0)

    assert spacing.slowness == 2.0


def test_the_rate_never_falls_below_a_sixteenth():
    """Nor does it stop."""
    spacing = Spacing()
    for n in range(60):
        spacing = spacing.paused(10.0 * n, 2.0)

    assert spacing.slowness == SLOWEST


def test_the_rate_grows_back():
    """Fourteen permits after a refusal the bucket is at its full rate."""
    limit, spacing = Limit(1), Spacing().paused(0.0, 1.0)
    for _ in range(14):
        spacing = spacing.taken(spacing.next_at, limit)

    assert spacing.slowness == 1.0


def test_a_shorter_pause_does_not_end_a_longer_one():
    """The service's longest wish counts."""
    assert Spacing().paused(10.0, 30.0).paused(11.0, 1.0).wait(11.0) == pytest.approx(29.0)


def test_an_unused_turn_is_given_back():
    """The next call waits for nothing, but a pause holds."""
    limit = Limit(1)
    taken = Spacing().taken(10.0, limit)

    assert taken.returned(limit).wait(10.0) == 0.0
    assert taken.paused(10.0, 9.0).returned(limit).wait(10.0) == pytest.approx(9.0)


def test_every_fifth_turn_is_a_batchs_if_one_waits():
    """Interactive calls go first, and starve nobody."""
    streak, served = 0, []
    for _ in range(10):
        priority = choose(streak, interactive=True, batch=True)
        streak = streak_after(streak, priority, batch=True)
        served.append(int(priority))

    assert served == [0, 0, 0, 0, 1] * 2
    assert choose(0, interactive=False, batch=False) is None


def test_every_family_has_its_documented_limit():
    """What is changed says so."""
    described = {one.family: one for one in Limits(search=Limit(10)).describe()}

    assert described["search"].source == "Client(limits=...)"
    assert described["video_upload"].source == "documented"
    assert described["video_upload"].limit.interval == 60.0
    assert described["video_list"].limit.rate == described["video_delete"].limit.rate == 5
    assert str(described["search"].limit) == "10 every 1 s, 64 at once"


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"rate": 1, "per": -1}, {"rate": 1, "concurrency": 0}]
)
def test_a_limit_that_lets_nothing_through_is_refused(wrong):
    """At once, where it is written."""
    with pytest.raises(ValueError, match="must be"):
        Limit(**wrong)
