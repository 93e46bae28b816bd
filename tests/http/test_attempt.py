"""One attempt's signals: nothing of aiohttp's is missed in silence."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref

import pytest
from aiohttp.tracing import Trace
from attrs import evolve
from servers import answer, serving
from yarl import URL

from memories_async._http.attempt import Departure, Request
from memories_async._http.transport import AiohttpTransport
from memories_async._protocol.keys import Key

URL_ = URL("http://127.0.0.1:1/")


def departure():
    key = Key("local-attempt", variable="X")
    request = Request(
        url=str(URL_), body=None, key=key, connect_timeout=1, timeout=1, deadline=None
    )
    return Departure(request, asyncio.get_running_loop())


async def test_headers_that_leave_are_noted():
    """From then on a failure may have been billed."""
    gone = departure()

    with gone.begun():
        await gone.send_request_headers("POST", URL_, {})

    assert gone.sent


async def test_a_signal_it_does_not_know_is_not_missed():
    """Were aiohttp to send another in its place, the request would fail before it leaves."""
    with pytest.raises(AttributeError, match="_trace_config"):
        await departure().send_connection_reuseconn()


def test_the_signals_are_called_as_aiohttp_calls_them():
    """Names and parameters are those of the class that it calls."""
    for name in ("send_request_headers", "send_request_chunk_sent"):
        ours, theirs = getattr(Departure, name), getattr(Trace, name)
        assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]


async def test_a_connection_keeps_nothing_of_the_request_that_opened_it():
    """It is kept for others; a body and a key are not."""
    transport = AiohttpTransport(user_agent="mine")
    async with serving(answer({})) as server:
        request = evolve(departure().request, url=server.url)
        await transport.carry(request)

        gone = weakref.ref(request)
        del request
        gc.collect()
        assert gone() is None
        await transport.aclose()
