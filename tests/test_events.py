"""Observers and logs: every step as a value, and none that can harm a call."""

from __future__ import annotations

import contextlib
import logging

import pytest
from callers import Scripted, Unlimited, over
from samples import FOUND, LIMITED, reply, search_call

from memories_async import events
from memories_async.errors import InvalidRequest, NotSent
from memories_async.events import Answered, Degraded, Failed, Sending, Waiting

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

    assert [type(event) for event in events] == [
        *(Sending, Failed, Waiting) * 2,
        *(Sending, Answered),
    ]
    assert [event.attempt for event in events] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert {event.call for event in events} == {"clips.search"}
    assert events[-1].status == 200
    assert events[-1].seconds >= 0 <= events[0].waited


async def test_a_call_that_gives_up_is_told_without_a_wait():
    """The last event is its failure."""
    events = await told([reply({"code": "0003", "msg": "no"})])

    assert [type(event) for event in events] == [Sending, Failed]
    assert (events[-1].error.code, events[-1].error.attempts) == ("0003", 1)


async def test_an_observer_that_raises_harms_nobody(caplog):
    """It is reported, and the others are told."""
    events = []

    def broken(event):
        raise ZeroDivisionError

    one = over(Scripted([reply(FOUND)]), observers=[broken, events.append])
    assert await one.send(search_call())

    assert len(events) == 2
    assert caplog.text.count("an observer raised") == 2


async def test_failures_and_waits_are_logged_at_info(caplog):
    """Each step at DEBUG, so that a quiet log tells only what went wrong."""
    caplog.set_level(logging.DEBUG, "memories_async")
    await told([DOWN, reply(FOUND)])

    levels = [record.levelname for record in caplog.records]
    assert levels == ["DEBUG", "INFO", "INFO", "DEBUG", "DEBUG"]
    assert "clips.search: down (billed: no)" in caplog.messages
    assert "clips.search: sending, attempt 2" in caplog.messages
    assert "next attempt in 0.0 s" in caplog.text


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

    assert [type(event) for event in events] == [Sending, Degraded, Answered]
    assert "clips.search: at a slow rate, since the file cannot be locked" in caplog.messages


@pytest.mark.parametrize("kind", [Sending, Answered, Failed, Waiting])
def test_events_are_frozen(kind):
    """They are shared between observers."""
    assert kind.__setattr__ is not object.__setattr__
    assert issubclass(kind, events.Event)
