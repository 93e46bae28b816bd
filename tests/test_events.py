"""Observers and logs: every step as a value, and none that can harm a call."""

from __future__ import annotations

import contextlib
import logging

import pytest
from callers import Scripted, Unlimited, over
from samples import FOUND, LIMITED, reply, search_call

from memories_async import events
from memories_async.errors import InvalidRequest, NotSent
from memories_async.events import (
    Answered,
    Began,
    CallEvent,
    Degraded,
    Ended,
    Failed,
    Sending,
    Waiting,
)

DOWN = NotSent("down", transient=True)


async def told(script, **settings):
    """The events of one search."""
    events = []
    one = over(Scripted(script), observers=[events.append], limiter=Unlimited(), **settings)
    with contextlib.suppress(InvalidRequest):
        await one.send(search_call())
    return events


async def test_a_call_is_told_step_by_step():
    """Refused for its rate, never sent, answered."""
    events = await told([reply(LIMITED), DOWN, reply(FOUND)])

    began, *steps, ended = [event for event in events if isinstance(event, CallEvent)]
    assert isinstance(began, Began)
    assert [type(event) for event in steps] == [
        *(Waiting, Sending, Failed, Waiting) * 2,
        *(Waiting, Sending, Answered),
    ]
    assert [event.attempt for event in steps] == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
    reasons = [event.reason for event in steps if isinstance(event, Waiting)]
    assert reasons == ["permit", "rate", "permit", "retry", "permit"]
    assert {event.call for event in steps} == {"clips.search"}
    assert len({event.call_id for event in (began, *steps, ended)}) == 1
    assert (steps[-1].status, steps[-1].size) == (200, len(reply(FOUND).body))
    assert steps[-1].seconds >= 0 <= steps[1].waited
    assert (ended.outcome, ended.billed, ended.attempts) == ("done", "yes", 3)
    assert ended.seconds >= ended.waited > 0
    assert (ended.replayed, ended.error) == (False, None)


async def test_a_call_that_gives_up_is_told_without_a_wait():
    """The last event is its failure."""
    events = await told([reply({"code": "0003", "msg": "no"})])

    assert [type(event) for event in events] == [Began, Waiting, Sending, Failed, Ended]
    failed, ended = events[-2:]
    assert (failed.error.code, failed.error.attempts) == ("0003", 1)
    assert (ended.outcome, ended.billed, ended.error) == ("refused", "no", failed.error)


async def test_an_observer_that_raises_harms_nobody(caplog):
    """It is reported, and the others are told."""
    events = []

    def broken(event):
        raise ZeroDivisionError

    one = over(Scripted([reply(FOUND)]), observers=[broken, events.append])
    assert await one.send(search_call())

    assert [type(event) for event in events] == [Began, Waiting, Sending, Answered, Ended]
    assert caplog.text.count("an observer raised") == len(events)


async def test_failures_and_waits_are_logged_at_info(caplog):
    """Each step at DEBUG, so that a quiet log tells only what did not go smoothly."""
    caplog.set_level(logging.DEBUG, "memories_async")
    await told([DOWN, reply(FOUND)])
    noted = [one.getMessage() for one in caplog.records if one.levelno == logging.INFO]
    caplog.clear()
    await told([reply(FOUND)])

    assert noted[0] == "clips.search: down (billed: no)"
    assert noted[1].startswith("clips.search: next attempt in 0.0")
    assert noted[2].startswith("clips.search: done after 0.0")
    assert noted[2].endswith("attempts: 2, billed: yes)")
    assert len(noted) == 3
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


async def test_records_carry_the_id_of_their_call(caplog):
    """Of the call that the record is about, and None outside of calls."""
    caplog.set_level(logging.DEBUG, "memories_async")
    first = await told([reply(FOUND)])
    second = await told([reply(FOUND)])
    events.logger.warning("about no call")

    ids = [record.call_id for record in caplog.records]
    assert [*dict.fromkeys(ids)] == [first[0].call_id, second[0].call_id, None]


class Failing(Unlimited):
    """A limiter whose store cannot be reached."""

    def permit(self, bucket):
        permit = super().permit(bucket)
        permit.fault = "the file cannot be locked"
        return permit


async def test_a_rate_that_is_not_shared_is_told(caplog):
    """Each call says why it goes at a slow rate of this process's own."""
    caplog.set_level(logging.DEBUG, "memories_async")
    events = []
    one = over(Scripted([reply(FOUND)]), observers=[events.append], limiter=Failing())
    await one.send(search_call())

    assert [type(event) for event in events] == [
        *(Began, Waiting, Degraded, Sending, Answered, Ended)
    ]
    assert "clips.search: at a slow rate, since the file cannot be locked" in caplog.messages


@pytest.mark.parametrize("kind", [Began, Sending, Answered, Failed, Waiting, Ended])
def test_events_are_frozen(kind):
    """They are shared between observers."""
    assert kind.__setattr__ is not object.__setattr__
    assert issubclass(kind, events.Event)
