"""One `Began` and one `Ended` for each call, whatever becomes of it."""

from __future__ import annotations

import asyncio
import pickle
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from attrs import define, field
from callers import Unlimited, over
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import EMBEDDED, LIMITED, embed_call, reply

from memories_async import InProcessLimiter, Ledger, Limit, Limits, MemoriesError
from memories_async.batch._circuit_breaker import CircuitBreaker
from memories_async.budget import Budget
from memories_async.errors import BudgetExceeded, NotSent, OutcomeUnknown
from memories_async.events import (
    Answered,
    BatchBegan,
    BatchEnded,
    Began,
    BucketPaused,
    BucketResumed,
    CallEvent,
    Ended,
    Failed,
    Sending,
    Sent,
    Waiting,
)

STEPS = {
    "answered": reply(EMBEDDED),
    "refused": reply({"code": "0003", "msg": "no"}),
    "limited": reply(LIMITED),
    "unreadable": reply(b"<html>"),
    "down": NotSent("down", transient=True),
    "lost": OutcomeUnknown("lost"),
    "mistake": ZeroDivisionError("a mistake in a transport"),
}


@define(eq=False)
class Storm:
    """A transport that follows a script, in which calls may be cancelled; then it answers."""

    script: list[str]
    steps: list[str] = field(factory=list)

    async def carry(self, attempt):
        rest = self.script[len(self.steps) :]
        step = rest[0] if rest else "answered"
        self.steps.append(step)
        await asyncio.sleep(0)
        if step != "down":
            attempt.on_sent()
        if step == "cancelled":
            asyncio.current_task().cancel()
            await asyncio.sleep(10)
        if isinstance(STEPS[step], Exception):
            raise pickle.loads(pickle.dumps(STEPS[step]))
        return STEPS[step]

    async def aclose(self) -> None:
        """Nothing was opened."""


def by_call(events) -> dict[str, list[CallEvent]]:
    """The events of each call."""
    calls = defaultdict(list)
    for event in events:
        if isinstance(event, CallEvent):
            calls[event.call_id].append(event)
    return calls


def check_call(events) -> None:
    """One Began, first; one Ended, last; and each attempt that was sent has one end."""
    began, *steps, ended = events
    assert isinstance(began, Began)
    assert isinstance(ended, Ended)
    assert not any(isinstance(event, Began | Ended) for event in steps)
    under_way = None
    for event in steps:
        if isinstance(event, Sending):
            assert under_way is None, "an attempt began before the last one ended"
            under_way = event.attempt
        elif isinstance(event, Sent | Answered):
            assert event.attempt == under_way
        if isinstance(event, Answered | Failed):
            under_way = None
    assert under_way is None or ended.outcome in {"cancelled", "unknown"}
    assert ended.attempts == sum(isinstance(event, Sending) for event in steps)
    assert 0 <= ended.waited <= ended.seconds
    assert (ended.outcome == "done") is (ended.error is None)
    if ended.outcome in {"refused", "unsent"}:
        assert ended.billed == "no"
    if isinstance(ended.error, MemoriesError):
        assert ended.billed == ended.error.billed
    if ended.replayed:
        assert not steps or all(isinstance(event, Waiting) for event in steps)


SCRIPTS = st.lists(st.sampled_from([*STEPS, "cancelled"]), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.booleans(), st.lists(st.integers(0, 2), min_size=1, max_size=5))
def test_every_call_begins_and_ends_once(script, has_ledger, keys):
    """Calls at once, some of them equal, with and without a ledger, over any sequence of outcomes."""
    events = []

    async def run(ledger):
        one = over(Storm(script), observers=[events.append], limiter=Unlimited(), ledger=ledger)
        tasks = [asyncio.create_task(one.send(embed_call(f"re_{key}"))) for key in keys]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [one for one in results if isinstance(one, AssertionError | TypeError)]

    with tempfile.TemporaryDirectory() as folder:
        if has_ledger:
            with Ledger(Path(folder) / "run.db") as ledger:
                asyncio.run(run(ledger))
        else:
            asyncio.run(run(None))

    calls = by_call(events)
    assert len(calls) == len(keys)
    for told in calls.values():
        check_call(told)


@settings(max_examples=60, deadline=None)
@given(
    SCRIPTS,
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.sampled_from(["park", "resend", "raise"]),
    st.none() | st.integers(0, 3),
    st.integers(1, 3),
)
def test_every_item_of_a_batch_begins_and_ends_once(script, keys, on_unknown, left_after, workers):
    """Replayed, parked and cancelled items too, twice over one ledger, and where the batch is left."""
    script = [step for step in script if step not in {"mistake", "cancelled"}] or ["answered"]
    events, outcomes = [], []

    async def run(ledger):
        one = over(Storm(script), observers=[events.append], limiter=Unlimited(), ledger=ledger)
        items = [(number, embed_call(f"re_{key}")) for number, key in enumerate(keys)]
        batch = one.batch(items, on_unknown=on_unknown, concurrency=workers, drain=0.01)
        async with batch:
            with suppress(OutcomeUnknown):
                async for outcome in batch:
                    outcomes.append(outcome)
                    if len(outcomes) == left_after:
                        break

    async def wait_briefly(breaker):
        await asyncio.sleep(0)
        return breaker._was_reached

    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "run.db") as ledger,
        patch.object(CircuitBreaker, "wait", wait_briefly),
    ):
        asyncio.run(run(ledger))
        first = len(events)
        asyncio.run(run(ledger))

    for told in (events[:first], events[first:]):
        assert isinstance(told[0], BatchBegan)
        assert isinstance(told[-1], BatchEnded)
        calls = by_call(told)
        assert {event.batch_id for event in told if isinstance(event, Began)} <= {told[0].batch_id}
        for one in calls.values():
            check_call(one)
        ended = [event.outcome for event in told if isinstance(event, Ended)]
        replayed = [event for event in told if isinstance(event, Ended) and event.replayed]
        last = told[-1]
        assert last.done + last.replayed == ended.count("done")
        assert last.unsent == ended.count("unsent")
        assert last.refused == ended.count("refused")
        assert last.cancelled == ended.count("cancelled")
        assert last.replayed == sum(event.outcome == "done" for event in replayed)
    assert len([event for event in events if isinstance(event, Ended)]) >= len(outcomes)


async def test_a_parked_item_is_told_as_unknown_and_replayed(tmp_path):
    """This run sends nothing for it."""
    events = []
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Storm(["lost"]), observers=[events.append], ledger=ledger)
        with pytest.raises(OutcomeUnknown):
            await one.send(embed_call())
        events.clear()
        async with one.batch({"a.mp4": embed_call()}) as batch:
            (outcome,) = [outcome async for outcome in batch]

    assert isinstance(outcome.error, OutcomeUnknown)
    _, began, ended, _ = events
    assert (began.item, began.model) == ("a.mp4", "multimodalembedding@001")
    assert (ended.outcome, ended.replayed, ended.attempts, ended.billed) == (
        "unknown",
        True,
        0,
        "maybe",
    )


async def test_an_answer_of_an_identical_call_is_told_as_a_replay(tmp_path):
    """The second call waits for the first, and says so."""
    events = []
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Storm(["answered"]), observers=[events.append], ledger=ledger)
        await asyncio.gather(one.send(embed_call()), one.send(embed_call()))

    first, second = by_call(events).values()
    assert [event.reason for event in second if isinstance(event, Waiting)] == ["identical"]
    assert (first[-1].replayed, first[-1].billed) == (False, "yes")
    assert (second[-1].replayed, second[-1].billed) == (True, "no")
    assert second[-1].waited > 0


async def test_items_that_wait_when_the_batch_is_left_are_told_as_cancelled(tmp_path):
    """One is waiting, the other one was put back into the queue: each has begun, and ends."""
    events, has_begun = [], asyncio.Event()

    def observe(event):
        events.append(event)
        if [type(one) for one in events].count(Began) == 3:
            has_begun.set()

    class Silent(Storm):
        async def carry(self, attempt):
            attempt.on_sent()
            await asyncio.sleep(60)

    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Silent([]), observers=[observe], ledger=ledger)
        first = asyncio.create_task(one.send(embed_call()))
        while not any(isinstance(event, Sent) for event in events):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        async with one.batch({1: embed_call(), 2: embed_call()}, concurrency=1, drain=0.01):
            await has_begun.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    calls = by_call(events)
    assert len(calls) == 3
    for told in calls.values():
        check_call(told)
        assert told[-1].outcome == "cancelled"
    (ended,) = [event for event in events if isinstance(event, BatchEnded)]
    assert ended.cancelled == 2


async def test_a_wait_for_the_rate_is_told_apart_from_a_slow_service():
    """What the limiter takes counts as waited, what the service takes does not."""
    events = []

    class Slow(Storm):
        async def carry(self, attempt):
            await asyncio.sleep(0.2)
            return await super().carry(attempt)

    limits = Limits(embeddings=Limit(1, per=0.4))
    one = over(
        Slow(["answered"]), observers=[events.append], limits=limits, limiter=InProcessLimiter()
    )
    await asyncio.gather(one.send(embed_call()), one.send(embed_call()))

    first, second = by_call(events).values()
    sending = next(event for event in second if isinstance(event, Sending))
    answered = next(event for event in second if isinstance(event, Answered))
    assert sending.waited >= 0.3, "the limiter spaces the two by 0.4 s"
    assert answered.seconds >= 0.19, "the service takes 0.2 s"
    assert second[-1].waited == sending.waited
    assert second[-1].seconds >= sending.waited + answered.seconds
    assert first[-1].waited < second[-1].waited


async def test_a_pause_of_a_bucket_and_its_end_are_told(tmp_path):
    """Once for each refusal, and with the first permit after it, also where that is a batch's."""
    events = []
    one = over(Storm(["limited", "limited"]), observers=[events.append], limiter=Unlimited())
    await one.send(embed_call())
    async with one.batch({1: embed_call(), 2: embed_call()}) as batch:
        assert len([outcome async for outcome in batch]) == 2

    told = [event for event in events if isinstance(event, BucketPaused | BucketResumed)]
    assert [type(event) for event in told] == [BucketPaused, BucketResumed] * 2
    assert {event.family for event in told} == {"embeddings"}
    assert all(event.seconds >= 0 for event in told)


async def test_what_a_budget_forbids_is_told_as_unsent():
    """No request is told."""
    events = []
    one = over(
        Storm(["answered"]),
        observers=[events.append],
        budget=Budget(points=1, prices={"embedding": 2}),
    )
    with pytest.raises(BudgetExceeded):
        await one.send(embed_call())

    assert [type(event) for event in events] == [Began, Ended]
    assert events[0].price == 2
    assert (events[-1].outcome, events[-1].billed) == ("unsent", "no")


async def test_a_slow_observer_changes_no_outcome():
    """It delays the loop, as any slow function does, and nothing else."""
    one = over(Storm(["limited", "answered"]), observers=[lambda _: time.sleep(0.02)])
    answers = await asyncio.gather(*(one.send(embed_call(f"re_{n}")) for n in range(3)))

    assert len(answers) == 3
