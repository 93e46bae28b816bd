"""`request`: a call to any endpoint. `exchange`: an answer with the reply that it was read from."""

from __future__ import annotations

import asyncio
import json

import pytest
from callers import Scripted, client, over
from samples import FOUND, LIMITED, reply, search_call
from servers import answer, hang_up, serving

from memories_async import (
    BadReply,
    Budget,
    BudgetExceeded,
    Client,
    Clip,
    InvalidRequest,
    Ledger,
    OutcomeUnknown,
    calls,
    videos,
)


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


PATH = "/v1/understand/uploadImg"
CHAT = {"code": 0, "msg": "success", "data": {"text": "A garden.", "token": {"total": 7}}}


def image_caption(**changes):
    """A call to an endpoint that the package has no function for."""
    return calls.request(
        "POST", "captions", PATH, json={"url": "https://x.example/a.png"}, **changes
    )


async def test_any_endpoint_can_be_called(connect):
    """Method, path, body and key as asked, the `data` as it came."""
    async with serving(answer(CHAT)) as server:
        assert await connect(server.url).send(image_caption()) == CHAT["data"]

        (exchange,) = server.exchanges
    assert exchange.head.startswith(f"POST {PATH} HTTP/1.1".encode())
    assert json.loads(exchange.body) == {"url": "https://x.example/a.png"}
    assert exchange.headers["authorization"]


async def test_a_query_and_a_form_are_sent_as_asked():
    """A form without files is urlencoded, one with files is multipart."""
    async with serving(answer(CHAT)) as server, client(server.url) as one:
        await one.send(calls.request("GET", "search", "/x", query={"a": 1, "b": "ü &"}))
        await one.send(calls.request("POST", "search", "/x", form={"a": "1"}))
        await one.send(calls.request("POST", "search", "/x", form={"a": "1", "file": b"BM..."}))

        first, second, third = server.exchanges
    assert first.head.startswith(b"GET /x?a=1&b=%C3%BC+%26 HTTP/1.1")
    assert second.headers["content-type"] == "application/x-www-form-urlencoded"
    assert second.body == b"a=1"
    assert third.headers["content-type"].startswith("multipart/form-data")
    assert b"BM..." in third.body


@pytest.mark.parametrize(
    ("changes", "requests"),
    [({}, 1), ({"unit": None}, 1), ({"unit": None, "repeatable": True}, 4)],
)
async def test_only_a_call_that_is_free_and_repeatable_is_sent_again(changes, requests):
    """Nobody knows what an unknown endpoint costs, so a lost reply ends it."""
    async with serving(hang_up) as server, client(server.url) as one:
        with pytest.raises(OutcomeUnknown):
            await one.send(image_caption(**changes))

        assert server.requests == requests


async def test_a_call_of_any_endpoint_is_paid_once(tmp_path):
    """The ledger answers the same request, and a budget counts its unit."""
    budget = Budget(points=3, prices={"image caption": 2})
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Scripted([reply(CHAT)]), ledger=ledger, budget=budget)
        call = image_caption(unit="image caption")

        assert await one.send(call) == await one.send(call) == CHAT["data"]
        with pytest.raises(BudgetExceeded):
            await one.send(call, fresh=True)


async def test_the_decoder_of_a_call_reads_its_data():
    """What it cannot read was paid, and is kept."""
    read = image_caption(decode=lambda data: data["text"].upper())
    assert await over(Scripted([reply(CHAT)])).send(read) == "A GARDEN."

    wrong = image_caption(decode=lambda data: float(data["text"]))
    with pytest.raises(BadReply) as caught:
        await over(Scripted([reply(CHAT)])).send(wrong)
    assert json.loads(caught.value.body) == CHAT


@pytest.mark.parametrize(
    "mistake", [KeyError("id"), AttributeError("x"), RuntimeError("y")], ids=repr
)
async def test_whatever_a_decoder_raises_keeps_the_reply(mistake):
    """It is paid: a mistake in the caller's function must not lose it."""

    def decode(_):
        raise mistake

    with pytest.raises(BadReply, match=f"{type(mistake).__name__}: ") as caught:
        await over(Scripted([reply(CHAT)])).send(image_caption(decode=decode))
    assert json.loads(caught.value.body) == CHAT
    assert caught.value.billed == "maybe"


@pytest.mark.parametrize("value", [None, True, 1.5, ["a"]], ids=repr)
def test_a_query_takes_texts_and_integers(value):
    """`str` of anything else, such as "None", is not what the caller means."""
    with pytest.raises(TypeError, match=r"query\['a'\] must be a str or an int, not "):
        calls.request("GET", "search", "/x", query={"a": value})


@pytest.mark.parametrize(
    "options", [{"json": "text"}, {"form": [("a", "b")]}, {"query": [("a", "b")]}], ids=str
)
def test_a_request_that_means_something_else_is_refused(options):
    """A text is a sequence of letters, and pairs are no mapping."""
    with pytest.raises(TypeError, match="must be a mapping"):
        calls.request("POST", "search", "/x", **options)


def test_a_request_does_not_change_with_the_data_of_its_caller():
    """It was decided about what was given."""
    given = {"ids": ["a"]}
    call = calls.request("POST", "search", "/x", json=given)
    given["ids"].append("b")

    assert call.body.plain == {"ids": ["a"]}


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (("BREW", "search", "/x"), {}, "method must be GET"),
        (("GET", "search", "x"), {}, "path must begin with /"),
        (("GET", "search", "/x?a=1"), {}, "path must begin with / and have no query"),
        (("GET", "search", "/x\r\nHost: y"), {}, "path must begin with /"),
        (("GET", "mars", "/x"), {}, "'mars' is not a valid Host"),
        (("POST", "search", "/x"), {"json": {}, "form": {}}, "json and form cannot both"),
        (("POST", "search", "/x"), {"form": {'a"b': b"x"}}, "a name in form must be"),
        (("POST", "search", "/x"), {"family": "mars"}, "family must be one of search"),
        (("POST", "search", "/x"), {"json": {"a": float("nan")}}, "not JSON compliant"),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused(arguments, options, told):
    """When it is built."""
    with pytest.raises(ValueError, match=told):
        calls.request(*arguments, **options)
