"""`exchange`: an answer with the reply that it was read from, on both clients."""

from __future__ import annotations

import asyncio
import json

import pytest
from callers import Scripted, over
from samples import FOUND, LIMITED, reply, search_call
from servers import answer, serving

from memories_async import Client, Clip, InvalidRequest, Ledger, videos


async def test_an_exchange_has_the_answer_and_the_reply():
    """Status, headers and raw body, for whoever needs more than the answer."""
    one = over(Scripted([reply(FOUND, **{"x-request-id": "r1"})]))

    exchange = await one.exchange(search_call())

    assert exchange.answer == (Clip(start_time=12.5, end_time=18.2, score=0.8631),)
    assert json.loads(exchange.reply.body) == FOUND
    assert exchange.reply.status == 200
    assert exchange.reply.headers["x-request-id"] == "r1"
    assert (exchange.attempts, exchange.billed) == (1, "yes")


async def test_an_exchange_counts_every_attempt():
    """A refusal for the rate is an attempt, and free."""
    one = over(Scripted([reply(LIMITED), reply(FOUND)]))

    assert (await one.exchange(search_call())).attempts == 2


async def test_an_exchange_of_a_free_call_is_not_billed():
    """Whatever it answered."""
    page = {"code": "0000", "data": {"videos": [], "current_page": 1, "page_size": 20}}
    one = over(Scripted([reply(page)]))

    assert (await one.exchange(videos.list())).billed == "no"


async def test_an_exchange_raises_what_send_raises():
    """An error has its own facts of the reply."""
    one = over(Scripted([reply({"code": "0001", "msg": "prompt"})]))

    with pytest.raises(InvalidRequest, match="prompt"):
        await one.exchange(search_call())


async def test_a_paid_exchange_is_answered_from_the_ledger(tmp_path):
    """With the same raw body, no attempt, and no bill; `send` and `exchange` share an entry."""
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Scripted([reply(FOUND)]), ledger=ledger)

        first = await one.send(search_call())
        again = await one.exchange(search_call())

        assert again.answer == first
        assert json.loads(again.reply.body) == FOUND
        assert (again.attempts, again.billed) == (0, "no")


async def test_both_clients_exchange(connect):
    """Over a real connection."""
    async with serving(answer(FOUND)) as server:
        one = connect(server.url).client
        call = search_call()
        exchange = await (
            one.exchange(call) if isinstance(one, Client) else asyncio.to_thread(one.exchange, call)
        )

        assert exchange.answer[0].score == 0.8631
        assert exchange.reply.status == 200
