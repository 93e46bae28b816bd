"""The direct transport: where it is used, and what its request heads cannot hold."""

from __future__ import annotations

import logging
from asyncio.selector_events import _SelectorSocketTransport

import aiohttp
import pytest
from aioresponses import aioresponses
from callers import client
from samples import FOUND, KEY, search_call
from servers import answer, serving

from memories_async import NotSent, calls
from memories_async._http import direct
from memories_async._http.attempt import Attempt
from memories_async._http.direct import DirectTransport, build_head, build_transport
from memories_async._http.reference import ReferenceTransport
from memories_async._protocol.keys import Key

OPTIONS = {"user_agent": "mine", "ssl": None}


@pytest.fixture(autouse=True)
def _asked_anew():
    """What was found out about the installed aiohttp is kept; a test changes the version."""
    direct.explain_unverified.cache_clear()
    yield
    direct.explain_unverified.cache_clear()


def test_requests_are_written_directly_unless_something_speaks_against_it():
    """The setting; a proxy is asked of the reference by each request."""
    assert direct.explain_unverified() is None
    assert type(build_transport(**OPTIONS, kind=None)) is DirectTransport
    assert type(build_transport(**OPTIONS, kind="reference")) is ReferenceTransport


@pytest.mark.parametrize("version", ["3.14.0", "3.15.0", "4.0.0a1"])
def test_an_aiohttp_that_was_not_verified_is_used_by_its_session(version, monkeypatch, caplog):
    """That is said once, at INFO."""
    monkeypatch.setattr(aiohttp, "__version__", version)
    with caplog.at_level(logging.INFO, "memories_async"):
        chosen = [build_transport(**OPTIONS, kind=None) for _ in range(3)]

    assert {type(one) for one in chosen} == {ReferenceTransport}
    (record,) = caplog.records
    assert record.getMessage().endswith(f": it was not verified with aiohttp {version}")


def test_an_aiohttp_without_what_is_needed_is_used_by_its_session(monkeypatch):
    """Whatever its version says."""
    monkeypatch.delattr(direct.ResponseHandler, "set_response_params")

    assert direct.explain_unverified() == "this aiohttp has no set_response_params"


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\x00b", "\x7f"])
def test_no_header_can_start_another(value):
    """Every value is checked where the head is made."""
    with pytest.raises(ValueError, match="a header must not contain control characters"):
        build_head({"Authorization": value})


async def test_a_key_with_a_line_break_is_never_sent():
    """And not shown."""
    transport = build_transport(user_agent="mine\r\nX: 1", ssl=None, kind=None)
    key, limits = Key(KEY, variable="X"), {"connect_timeout": 5.0, "timeout": 5.0, "deadline": None}
    async with serving(answer(FOUND)) as server:
        with pytest.raises(NotSent) as caught:
            await transport.carry(Attempt(url=server.url, body=None, key=key, **limits))
        await transport.aclose()

        assert server.requests == 0
    assert KEY not in str(caught.value)


async def test_a_test_that_replaces_the_session_of_aiohttp_gets_the_requests():
    """What aioresponses mocks is not sent to the service."""
    with aioresponses() as mocked:
        mocked.post("http://localhost:1/serve/api/v1/search_clips_by_image", payload=FOUND)
        async with client("http://localhost:1") as one:
            assert len(await one.send(search_call())) == 1


async def test_what_is_kept_of_urls_is_bounded(monkeypatch):
    """A listing has a URL for each page."""
    async with serving(answer(FOUND)) as server, client(server.url) as one:
        await one.send(search_call())
        session = next(iter(one._transport._sessions._open.values()))
        for number in range(2500):
            one._transport.describe(session, "GET", f"{server.url}/{number}")

        assert len(session.targets) <= direct.MAX_TARGETS


async def test_no_empty_piece_is_written(monkeypatch):
    """Since Python 3.12 asyncio would try to send it again and again, with a whole core."""
    written, write = [], _SelectorSocketTransport.writelines

    def note(transport, pieces):
        written.extend(pieces)
        write(transport, pieces)

    monkeypatch.setattr(_SelectorSocketTransport, "writelines", note)
    async with serving(answer(FOUND)) as server, client(server.url) as one:
        for method in ("GET", "POST"):
            await one.send(calls.request(method, "search", "/x"))

        assert server.requests == 2
    assert written
    assert all(written)
