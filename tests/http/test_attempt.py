"""The trace of one attempt: what it records of aiohttp's signals."""

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

from memories_async._http.attempt import Attempt, AttemptTrace
from memories_async._http.transport import AiohttpTransport
from memories_async._protocol.keys import Key

URL_ = URL("http://127.0.0.1:1/")


def trace():
    key = Key("local-attempt", variable="X")
    attempt = Attempt(
        url=str(URL_), body=None, key=key, connect_timeout=1, timeout=1, deadline=None
    )
    return AttemptTrace(attempt, asyncio.get_running_loop())


async def test_the_trace_records_that_headers_were_sent():
    """A failure from then on may have been billed."""
    sending = trace()

    with sending.start_limit():
        await sending.send_request_headers("POST", URL_, {})

    assert sending.has_sent


async def test_a_signal_that_the_trace_does_not_handle_fails_the_request():
    """If aiohttp sent another signal instead, the request would fail before it is sent."""
    with pytest.raises(AttributeError, match="_trace_config"):
        await trace().send_connection_reuseconn()


def test_the_trace_has_the_signatures_that_aiohttp_calls():
    """Names and parameters are those of aiohttp's own class."""
    for name in ("send_request_headers", "send_request_chunk_sent"):
        ours, theirs = getattr(AttemptTrace, name), getattr(Trace, name)
        assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]


async def test_a_connection_keeps_no_reference_to_the_attempt_that_opened_it():
    """The connection is kept for later requests; the body and the key are not."""
    transport = AiohttpTransport(user_agent="mine")
    async with serving(answer({})) as server:
        attempt = evolve(trace().attempt, url=server.url)
        await transport.carry(attempt)

        reference = weakref.ref(attempt)
        del attempt
        gc.collect()
        assert reference() is None
        await transport.aclose()
