"""The sliding window, by a stepped clock, and the refusals of the three hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memories_async.local import Rate
from memories_async.local.state.rate_limits import DOCUMENTED, GRACE, SlidingWindows, parse_rates


def admitted(windows, *times, account="a", family="search"):
    return [windows.admit(account, family, now) for now in times]


def test_window_admits_one_request_each_second():
    """A refused request does not count."""
    windows = SlidingWindows(DOCUMENTED)

    assert admitted(windows, 0.0, 0.5, 0.8, 1.0, 1.5, 2.0) == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_window_admits_a_request_that_is_slightly_early():
    """A network moves arrivals."""
    assert admitted(SlidingWindows(DOCUMENTED), 0.0, 0.95) == [True, True]


def test_accounts_and_families_have_windows_of_their_own():
    """A full limit does not affect the others."""
    windows = SlidingWindows(DOCUMENTED)

    assert admitted(windows, 0.0) == [True]
    assert admitted(windows, 0.0, account="b") == [True]
    assert admitted(windows, 0.0, family="captions") == [True]


def test_reset_empties_the_windows():
    """The next request is admitted."""
    windows = SlidingWindows(DOCUMENTED)
    admitted(windows, 0.0)
    windows.reset()

    assert admitted(windows, 0.0) == [True]


@given(st.lists(st.floats(0, 20), max_size=60), st.integers(1, 4))
def test_no_window_holds_more_than_its_rate(times, count):
    """For any arrivals."""
    windows = SlidingWindows({"search": Rate(count, 1.0)})
    let_in = [now for now in sorted(times) if windows.admit("a", "search", now)]

    for start in let_in:
        inside = [now for now in let_in if start <= now < start + 1.0 * (1 - GRACE)]
        assert len(inside) <= count


@pytest.mark.parametrize(
    ("given_limits", "rates"),
    [
        (None, {}),
        (1, dict.fromkeys(DOCUMENTED, Rate())),
        (0.5, dict.fromkeys(DOCUMENTED, Rate(1, 2.0))),
        (Rate(3, 60), dict.fromkeys(DOCUMENTED, Rate(3, 60))),
        ({"search": 10}, {**DOCUMENTED, "search": Rate(10, 1.0)}),
        ({"search": Rate(2, 5)}, {**DOCUMENTED, "search": Rate(2, 5)}),
    ],
)
def test_limits_are_read_in_every_form(given_limits, rates):
    """A number, a rate, or either of them by family."""
    assert parse_rates(given_limits) == rates


@pytest.mark.parametrize(
    ("wrong", "sentence"), [({"clip": 1}, "no such endpoint family: clip"), (0, "above zero")]
)
def test_unknown_family_and_rate_zero_are_refused(wrong, sentence):
    """A misspelt family would never limit anything."""
    with pytest.raises(ValueError, match=sentence):
        parse_rates(wrong)


async def test_each_host_refuses_over_the_limit_in_its_own_form(service, search, embed, caption):
    """0429 with HTTP 200, HTTP 429, and -1; none is paid."""
    service.limits = Rate(1, 3600)
    for ask in (search, embed, caption):
        await ask()

    first, second, third = await search(), await embed(), await caption()

    assert (first.status, first.json["code"]) == (200, "0429")
    assert first.json["msg"] == third.json["msg"] == "Request has exceeded the limit."
    assert second.status == 429
    assert second.json == {"code": 429, "msg": "Rate limit exceeded", "data": None}
    assert (third.status, third.json["code"]) == (200, -1)
    assert (service.account.calls, service.account.paid) == (6, 3)
