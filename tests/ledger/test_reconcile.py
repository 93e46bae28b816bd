"""Settling unknown calls by hand or by a callback."""

from __future__ import annotations

import asyncio

import callers
import pytest
from ledgers import states, wait_for_requests
from samples import ACCEPTED, EMBEDDED, FOUND, caption_call, embed_call, search_call
from servers import answer, hang_up, serving, silent

from memories_async.captions import CaptionTask
from memories_async.clips import Clip
from memories_async.errors import OutcomeUnknown

PICTURE = b"\x89PNG\r\n\x1a\n" + b"x" * 40


async def test_retry_lets_an_unknown_call_be_sent(ledger):
    """It is done then, and its first attempt still counts as perhaps paid."""
    async with (
        serving(hang_up, answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        (entry,) = ledger.unknown()
        ledger.retry(entry.key)
        assert ledger.find(entry.key)[0].billed == "maybe"
        await client.send(search_call())

        assert (server.requests, states(ledger)) == (2, ["done"])


async def test_an_unknown_call_settled_as_unpaid_may_be_sent(ledger):
    """Settled as not paid, it counts as not billed."""
    async with (
        serving(hang_up, answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        (entry,) = ledger.unknown()
        ledger.settle(entry.key, paid=False)
        assert ledger.find(entry.key)[0].billed == "no"

        assert await client.send(search_call())


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (search_call(), (Clip(start_time=1.0, end_time=2.0, score=0.5),)),
        (search_call(), [{"start_time": 1, "end_time": 2, "score": 0.5}]),
        (embed_call(), {"embedding": [0.5, 0.25]}),
        (caption_call(), CaptionTask("task-1")),
    ],
)
async def test_an_unknown_call_settled_with_an_answer_is_answered(ledger, call, given):
    """A typed answer or the reply's `data`: the call reads it back."""
    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(call)
        (entry,) = ledger.unknown()
        ledger.settle(entry.key, paid=True, answer=given)

        kept = await client.send(call)

        assert server.requests == 1
        assert kept == given or not isinstance(given, tuple | CaptionTask)


async def test_an_embedding_of_one_client_settles_anothers_entry(ledger):
    """A typed `Embedding` is an answer, too."""
    async with (
        serving(hang_up, answer(EMBEDDED)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(embed_call())
        known = await callers.patient_client(server.url).send(embed_call())
        ledger.settle(ledger.unknown()[0].key, paid=True, answer=known)

        assert await client.send(embed_call()) == known


async def test_a_call_settled_as_paid_without_an_answer_is_not_sent(ledger):
    """It raises `OutcomeUnknown` with `billed` set to yes."""
    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        ledger.settle(ledger.unknown()[0].key, paid=True)

        with pytest.raises(OutcomeUnknown) as caught:
            await client.send(search_call())

        assert (caught.value.billed, server.requests) == ("yes", 1)


async def test_a_done_call_cannot_be_settled(ledger):
    """Neither by hand nor by a late callback."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        paid = await client.send(search_call())
        (entry,) = ledger.entries()
        ledger.settle(entry.key, paid=False)
        ledger.settle(entry.key, paid=True, answer=[])

        assert await client.send(search_call()) == paid
        with pytest.raises(ValueError, match="done"):
            ledger.retry(entry.key)


@pytest.mark.parametrize("key", ["ab" * 20, "no hex"])
def test_an_unknown_key_cannot_be_settled(ledger, key):
    """A key that the ledger does not have, or that is no key, is a `KeyError`."""
    with pytest.raises(KeyError):
        ledger.settle(key, paid=False)
    with pytest.raises(KeyError):
        ledger.retry(key)


def test_an_answer_that_json_cannot_hold_is_refused(ledger):
    """With a `TypeError`, before anything is looked up."""
    with pytest.raises(TypeError, match="answer"):
        ledger.settle("ab" * 20, paid=True, answer=object())


async def test_a_call_being_sent_cannot_be_settled_as_unpaid(ledger):
    """Its outcome is about to be known; only a callback settles it earlier."""
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        sending = asyncio.create_task(client.send(search_call()))
        await wait_for_requests(server)
        (entry,) = await asyncio.to_thread(lambda: [*ledger.entries()])
        for move in (ledger.retry, lambda key: ledger.settle(key, paid=False)):
            with pytest.raises(ValueError, match="right now"):
                await asyncio.to_thread(move, entry.key)
        sending.cancel()
        await asyncio.wait([sending])


async def test_a_callback_before_a_lost_reply_answers_the_caller(ledger):
    """The callback proves that the submission was accepted, though its reply was lost."""

    async def lose(exchange):
        (entry,) = await asyncio.to_thread(lambda: [*ledger.entries()])
        await ledger.settled(entry.key, answer=CaptionTask("early"))
        await hang_up(exchange)

    async with serving(lose) as server, callers.patient_client(server.url, ledger=ledger) as client:
        assert await client.send(caption_call()) == CaptionTask("early")
        assert states(ledger) == ["done"]


async def test_a_callback_before_the_reply_stays_the_answer(ledger):
    """The entry keeps the answer that came first."""

    async def settle_first(exchange):
        (entry,) = await asyncio.to_thread(lambda: [*ledger.entries()])
        await ledger.settled(entry.key, answer=CaptionTask("early"))
        await answer(ACCEPTED)(exchange)

    async with (
        serving(settle_first) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        await client.send(caption_call())

        assert await client.send(caption_call()) == CaptionTask("early")
        assert server.requests == 1
