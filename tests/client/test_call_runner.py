"""The send loop over a scripted transport: attempts, waits, and what the last error says it cost."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from callers import HASTY, Scripted, Unlimited, over
from samples import FOUND, LIMITED, caption_call, reply, search_call

from memories_async import Budget, InProcessLimiter, Ledger, Limits, Policy, videos
from memories_async._client.sender import Sender
from memories_async.budget import Spending
from memories_async.errors import (
    BadReply,
    InvalidRequest,
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
)
from memories_async.events import Failed
from memories_async.limiter import Priority

DOWN = NotSent("down", transient=True)
TOO_FAST = reply(LIMITED)


def lost():
    """An outcome that nobody knows; errors are told who they are, so each is made afresh."""
    return OutcomeUnknown("lost", transient=True)


async def failing(script, call=None, **settings):
    """Send over a scripted transport; return the error and the number of requests."""
    transport = Scripted(script)
    with pytest.raises(MemoriesError) as caught:
        await over(transport, **settings).send(call or search_call())
    assert caught.value.attempts == len(transport.requests)
    return caught.value, len(transport.requests)


async def test_an_answer_needs_one_request():
    """And carries what the call says."""
    transport = Scripted([reply(FOUND)])
    (clip,) = await over(transport).send(search_call())

    (request,) = transport.requests
    assert clip.score == 0.8631
    assert request.url == "http://localhost:1/serve/api/v1/search_clips_by_image"
    assert (request.method, request.key.variable) == ("POST", "MEMORIES_API_KEY")


async def test_what_was_never_sent_is_tried_again():
    """As often as the policy says; the error counts."""
    error, requests = await failing([DOWN], policy=evolve(HASTY, attempts=3))

    assert (type(error), requests, error.call) == (NotSent, 3, "clips.search")


async def test_an_unknown_outcome_is_not_tried_again():
    """One lost reply costs one request, and the error says that it may have been charged."""
    for call in (search_call(), caption_call()):
        error, requests = await failing([lost()], call)
        assert (type(error), requests, error.billed) == (OutcomeUnknown, 1, "maybe")


async def test_an_unknown_outcome_is_tried_again_when_told_to():
    """Once more, and the answer is there."""
    transport = Scripted([lost(), reply(FOUND)])
    policy = evolve(HASTY, resend_unknown=True)

    assert await over(transport, policy=policy).send(search_call())
    assert len(transport.requests) == 2


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([lost()], OutcomeUnknown),
        ([reply({}, 500)], OutcomeUnknown),
        ([reply({"code": "0500"})], OutcomeUnknown),
        ([reply({"code": "0000", "data": 7})], BadReply),
        ([reply({"code": "0000", "success": False})], BadReply),
        ([reply([])], BadReply),
        ([lost(), NotSent("certificate")], OutcomeUnknown),
    ],
    ids=["lost", "500", "0500", "data", "both", "array", "lost first"],
)
async def test_no_error_of_a_free_call_says_that_it_may_be_billed(script, kind):
    """The observers hear the same as the caller."""
    policy, heard = evolve(HASTY, attempts=len(script)), []
    error, _ = await failing(
        script, videos.metadata("VI1"), policy=policy, observers=[heard.append]
    )

    assert (type(error), error.billed) == (kind, "no")
    assert {event.error.billed for event in heard if isinstance(event, Failed)} == {"no"}
    assert heard[-1].billed == "no"


@pytest.mark.parametrize(
    "end", [NotSent("certificate"), reply({"code": "0402"}), reply({"code": "0001"}, 400)]
)
async def test_a_doubt_outweighs_a_later_certainty(end):
    """What may have been charged is not forgotten because the next attempt surely was not."""
    policy = evolve(HASTY, resend_unknown=True)
    error, requests = await failing([lost(), end], policy=policy)

    assert (type(error), requests, error.billed) == (OutcomeUnknown, 2, "maybe")
    assert error.message == "lost"
    assert "a later attempt" in error.__notes__[0]


async def test_rate_limits_cost_no_attempt():
    """A policy of one attempt sits out any number of them."""
    limiter = Unlimited()
    transport = Scripted([TOO_FAST] * 20 + [reply(FOUND)])
    client = over(transport, policy=evolve(HASTY, attempts=1), limiter=limiter)

    assert await client.send(search_call())
    assert len(transport.requests) == 21
    assert len(limiter.pauses) == 20


async def test_rate_limits_do_not_lengthen_the_waits_of_other_errors():
    """Each kind counts for itself."""
    script = [TOO_FAST, DOWN, TOO_FAST, DOWN]
    error, requests = await failing(
        [*script, DOWN], policy=evolve(HASTY, attempts=3), limiter=Unlimited()
    )

    assert (type(error), requests) == (NotSent, 5)


async def test_a_rate_limit_holds_the_whole_bucket_back():
    """For as long as the service asks."""
    limiter = Unlimited()
    await over(Scripted([reply(LIMITED, retry_after="3"), reply(FOUND)]), limiter=limiter).send(
        search_call()
    )

    assert limiter.pauses == [3.0]


@pytest.mark.parametrize(("asked", "paused"), [("4", 4.0), ("500", 120.0)])
async def test_the_bucket_is_held_back_also_where_the_call_gives_up(asked, paused):
    """The refusal is the account's: other calls must not run into it (at most for the cap)."""
    limiter = Unlimited()
    policy = evolve(HASTY, deadline=2.0)
    error, requests = await failing(
        [reply(LIMITED, retry_after=asked)], policy=policy, limiter=limiter
    )

    assert (type(error), requests, error.retry_after) == (RateLimited, 1, float(asked))
    assert limiter.pauses == [paused]


async def test_a_wait_beyond_the_deadline_is_not_begun():
    """The last error comes at once."""
    policy = Policy(backoff=60.0, max_backoff=60.0, deadline=5.0)
    async with asyncio.timeout(2):
        error, requests = await failing([DOWN], policy=policy)

    assert (type(error), requests) == (NotSent, 1)


async def test_a_deadline_that_passes_in_line_says_so():
    """Nothing was sent, and the sentence says what to change."""
    limiter = Unlimited()
    client = over(Scripted([reply(FOUND)]), policy=evolve(HASTY, deadline=0.05), limiter=limiter)
    settings = client._settings
    bucket = settings.bucket(search_call().host, "search")
    bucket = evolve(bucket, limit=evolve(bucket.limit, concurrency=1))
    settings = evolve(settings, limits=evolve(settings.limits, search=bucket.limit))
    transport = Scripted([reply(FOUND)])

    async with limiter.permit(bucket):
        with pytest.raises(
            NotSent, match=r"deadline of 0\.05 s passed while the call waited"
        ) as caught:
            await Sender(settings, transport).send(search_call())
    assert (transport.requests, caught.value.attempts, caught.value.billed) == ([], 0, "no")


async def test_a_deadline_that_passes_in_line_tells_what_went_wrong_before():
    """It is the reason that the call was still in line."""
    policy = evolve(HASTY, attempts=3, deadline=0.2)
    error, requests = await failing(
        [DOWN], policy=policy, limiter=InProcessLimiter(), limits=Limits()
    )

    assert requests == 1
    assert "passed while the call waited for a permit, after 1 failed attempt: down (" in str(error)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (reply({"code": "0003"}), InvalidRequest),
        (reply(b"<html>"), BadReply),
        (lost(), OutcomeUnknown),
    ],
)
async def test_a_failed_call_gives_its_slot_back(step, kind):
    """Whatever became of it."""
    limiter = Unlimited()
    error, _ = await failing([step], limiter=limiter)

    assert (type(error), limiter.busy()) == (kind, 0)


async def test_a_cancelled_call_gives_its_slot_back():
    """Also in the middle of its request (fault case 54)."""
    limiter, begun = Unlimited(), asyncio.Event()

    class Hanging(Scripted):
        async def carry(self, request):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(over(Hanging([]), limiter=limiter).send(search_call()))
    await begun.wait()
    assert limiter.busy() == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert limiter.busy() == 0


class Cancelling(Scripted):
    """A transport whose request is sent, and in whose wait for the reply the task is cancelled."""

    has_sent = True

    async def carry(self, request):
        self.requests.append(request)
        if self.has_sent:
            request.on_sent()
        asyncio.current_task().cancel()
        await asyncio.sleep(0)


async def cancelled(call, transport, **settings):
    """Send *call*, which is cancelled meanwhile; return the notes of the cancellation."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.create_task(over(transport, **settings).send(call))
    return getattr(caught.value, "__notes__", [])


async def test_a_call_that_is_cancelled_after_it_was_sent_says_so(caplog):
    """By a note on the exception and a warning in the log: it may have been charged."""
    notes = await cancelled(search_call(), Cancelling([]))

    assert notes == ["clips.search was cancelled after it was sent (billed: maybe)"]
    assert [one.message for one in caplog.records if one.levelname == "WARNING"] == notes


async def test_the_note_of_a_cancelled_call_names_its_item():
    """A batch that is left cancels many; a control character in a key is no part of the log."""
    client, call = over(Cancelling([])), search_call()

    async def run():
        with client._open(call, "clip\n7") as runner:
            await runner.submit(call)

    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.create_task(run())

    note = "clips.search of item clip\ufffd7 was cancelled after it was sent (billed: maybe)"
    assert caught.value.__notes__ == [note]


async def test_a_call_that_is_cancelled_before_it_is_sent_costs_nothing(caplog):
    """Nothing is noted, and a budget has it back."""
    transport, budget = Cancelling([]), Budget(calls=1)
    transport.has_sent = False

    assert await cancelled(search_call(), transport, budget=budget) == []
    assert not [one for one in caplog.records if one.levelname == "WARNING"]
    assert budget.spending == Spending()


async def test_a_free_call_that_is_cancelled_says_nothing():
    """It costs nothing, whatever became of it."""
    assert await cancelled(videos.list(), Cancelling([])) == []


async def test_a_cancelled_repeat_remembers_the_attempt_before_it():
    """That one may have been charged, also where the repeat was not sent yet."""

    class Doubtful(Cancelling):
        has_sent = False

        async def carry(self, request):
            if not self.requests:
                self.requests.append(request)
                raise lost()
            await super().carry(request)

    policy = evolve(HASTY, resend_unknown=True)
    notes = await cancelled(search_call(), Doubtful([]), policy=policy)

    assert notes == ["clips.search was cancelled after it was sent (billed: maybe)"]


async def test_a_call_that_is_cancelled_while_its_answer_is_recorded_was_billed(tmp_path):
    """The answer is in the ledger, and not with the caller."""

    class Cancelled(Scripted):
        async def carry(self, request):
            asyncio.current_task().cancel()
            return await super().carry(request)

    with Ledger(tmp_path / "run.db") as ledger:
        notes = await cancelled(search_call(), Cancelled([reply(FOUND)]), ledger=ledger)

    assert notes == ["clips.search was cancelled after its answer came (billed: yes)"]


async def test_cancelled_between_two_attempts_it_ends_at_once():
    """Fault case 55."""
    transport = Scripted([DOWN])
    task = asyncio.create_task(
        over(transport, policy=Policy(backoff=60, max_backoff=60)).send(search_call())
    )
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(transport.requests) == 1


@pytest.mark.parametrize("priority", Priority)
async def test_a_call_without_a_deadline_is_sent(priority):
    """None is no limit, not a limit of none; in a batch as by itself."""
    transport = Scripted([DOWN, reply(FOUND)])
    settings = over(transport, policy=evolve(HASTY, deadline=None))._settings
    one = Sender(evolve(settings, priority=priority), transport)

    assert await one.send(search_call())
    assert transport.requests[0].deadline is None
