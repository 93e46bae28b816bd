"""The policy: pure decisions about when to try again, and never to pay twice unasked."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from samples import caption_call, search_call

from memories_async import Policy
from memories_async.errors import BadReply, InvalidRequest, NotSent, OutcomeUnknown, RateLimited

SEARCH, CAPTION = search_call(), caption_call()
FREE = evolve(SEARCH, unit=None)
ERRORS = [
    NotSent("down", transient=True),
    NotSent("certificate"),
    InvalidRequest("no"),
    RateLimited("fast", transient=True),
    OutcomeUnknown("lost", transient=True),
    BadReply("garbled", transient=True),
]
jitters = st.floats(0, 1)
attempts = st.integers(1, 10_000)


@given(st.sampled_from(ERRORS), attempts, jitters)
def test_a_wait_is_never_negative_and_never_endless(error, attempt, jitter):
    """Whatever happens, the wait can be slept."""
    wait = Policy().wait_after(error, SEARCH, attempt, jitter=jitter)

    assert wait is None or 0 <= wait <= Policy().max_backoff


@given(attempts, jitters, st.sampled_from([SEARCH, CAPTION]))
def test_an_unknown_outcome_is_never_sent_again_unasked(attempt, jitter, call):
    """The default policy never pays twice."""
    for error in (OutcomeUnknown("lost", transient=True), OutcomeUnknown("5xx", retry_after=1.0)):
        assert Policy().wait_after(error, call, attempt, jitter=jitter) is None


def test_an_unknown_outcome_is_sent_again_when_told_to():
    """The caller decided to pay twice rather than not at all."""
    policy = Policy(resend_unknown=True)

    assert policy.wait_after(OutcomeUnknown("lost"), CAPTION, 1) == 0.5


def test_a_free_call_is_sent_again_by_itself():
    """What costs nothing and changes nothing may be repeated."""
    assert Policy().wait_after(OutcomeUnknown("lost"), FREE, 1) is not None
    assert Policy().wait_after(OutcomeUnknown("lost"), evolve(FREE, repeatable=False), 1) is None


@pytest.mark.parametrize("call", [SEARCH, FREE])
def test_an_unreadable_success_is_never_sent_again(call):
    """It was paid once; a repeat would be as unreadable."""
    assert Policy(resend_unknown=True).wait_after(BadReply("garbled"), call, 1) is None


@given(st.integers(1, 10), st.integers(1, 20))
def test_attempts_are_counted_but_rate_limits_cost_none(most, attempt):
    """A refusal for the rate is no attempt: only the deadline ends those."""
    policy = Policy(attempts=most)

    gave_up = policy.wait_after(NotSent("down", transient=True), SEARCH, attempt) is None
    assert gave_up == (attempt >= most)
    assert policy.wait_after(RateLimited("fast", transient=True), SEARCH, attempt) is not None


def test_waits_double_up_to_the_most():
    """Half a second, one, two, and so on to the advised 32; full jitter halves them at most."""
    error = NotSent("down", transient=True)
    waits = [Policy(attempts=99).wait_after(error, SEARCH, n) for n in range(1, 9)]

    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 32]
    assert Policy().wait_after(error, SEARCH, 1, jitter=0.0) == 0.25


@pytest.mark.parametrize(("asked", "wait"), [(0.0, 0.0), (120.0, 120.0), (120.1, None)])
def test_the_services_own_wait_is_obeyed_or_reported(asked, wait):
    """A wait beyond the cap is not shortened: the call gives up and tells the time."""
    error = RateLimited("fast", transient=True, retry_after=asked)

    assert Policy().wait_after(error, SEARCH, 1) == wait


def test_what_will_not_change_is_not_tried_again():
    """A bad certificate or parameter is no better in a second."""
    assert Policy().wait_after(NotSent("certificate"), SEARCH, 1) is None
    assert Policy().wait_after(InvalidRequest("no"), SEARCH, 1) is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"attempts": 0}, {"deadline": 0.0}, {"deadline": -1.0}, {"deadline": math.nan}),
        *({"timeout": 0.0}, {"connect_timeout": 0.0}, {"backoff": -1.0}, {"max_backoff": -1.0}),
        {"max_retry_after": -1.0},
    ],
)
def test_senseless_policies_are_refused(wrong):
    """Each field says what it needs."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)


def test_a_deadline_may_be_left_out():
    """None waits without end."""
    assert Policy(deadline=None).deadline is None


def test_the_defaults_are_those_of_the_documentation():
    """`docs/configuration.md` states them."""
    policy = Policy()

    assert (policy.attempts, policy.deadline, policy.timeout) == (4, 600.0, 120.0)
    assert (policy.connect_timeout, policy.backoff, policy.max_backoff) == (15.0, 0.5, 32.0)
    assert policy.max_retry_after == 120.0
    assert policy.resend_unknown is False


@pytest.mark.parametrize(
    ("name", "least", "refused"),
    [
        *(("attempts", 1, 0), ("timeout", 0.001, 0), ("connect_timeout", 0.001, 0)),
        *(("backoff", 0, -0.001), ("max_backoff", 0, -0.001), ("max_retry_after", 0, -0.001)),
        ("deadline", 0.001, 0),
    ],
)
def test_a_setting_is_checked_at_its_border(name, least, refused):
    """The least that makes sense is allowed, and nothing below."""
    assert getattr(Policy(**{name: least}), name) == least
    with pytest.raises(ValueError, match=name):
        Policy(**{name: refused})
