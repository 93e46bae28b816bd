"""Requests that are held up after their permit, by a slow name server or connection, on a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from itertools import pairwise

import pytest
from attrs import define, evolve
from callers import HASTY, client
from samples import FOUND, search_call
from servers import answer, serving

from memories_async import FileLimiter, InProcessLimiter, Limit, Limits, NotSent, OutcomeUnknown
from memories_async._http import attempt
from memories_async.limiter import Permit

PATIENT = evolve(HASTY, timeout=5.0, connect_timeout=5.0, deadline=30.0)
FIVE = Limits(search=Limit(5))


@pytest.fixture
def slow_dns(monkeypatch):
    """A function that makes the next answers of the name server take so many seconds."""
    real, waits = socket.getaddrinfo, []

    def getaddrinfo(*asked, **settings):
        time.sleep(waits.pop(0) if waits else 0.0)
        return real(*asked, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return waits.append


@pytest.fixture(params=["process", "file"])
def limiter(request, tmp_path):
    """The limiters that need no server."""
    if request.param == "process":
        return InProcessLimiter()
    return FileLimiter(tmp_path / "account.limiter")


@pytest.mark.parametrize("way", ["at once", "in a batch"])
async def test_requests_that_one_slow_dns_answer_held_up_are_spaced_again(limiter, slow_dns, way):
    """Five ticks pass in the second that it takes; no two requests arrive closer than the limit."""
    async with serving(answer(FOUND)) as server:
        slow_dns(1.0)
        async with client(server.url, limiter=limiter, limits=FIVE, policy=PATIENT) as one:
            if way == "at once":
                await asyncio.gather(*(one.send(search_call()) for _ in range(8)))
            else:
                calls = [(str(n), search_call(video_no=f"VI{n}")) for n in range(8)]
                async with one.batch(calls) as batch:
                    outcomes = [outcome async for outcome in batch]
                assert [outcome.error for outcome in outcomes] == [None] * 8
    gaps = [later - earlier for earlier, later in pairwise(server.arrivals)]

    assert server.requests == 8
    # The service counts arrivals: 20 ms of the gap are left for the network and a busy machine.
    assert min(gaps) >= 1 / 5 - 0.02


class HoldingLimiter(InProcessLimiter):
    """A limiter that finds the first request late, and lets it go after so many seconds."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.asked = seconds, 0

    def permit(self, bucket):
        return HeldPermit(super().permit(bucket), self)


@define(eq=False)
class HeldPermit:
    """A permit of that limiter."""

    permit: Permit
    limiter: HoldingLimiter
    fault: str | None = None

    async def __aenter__(self):
        return await self.permit.__aenter__()

    async def __aexit__(self, *raised):
        await self.permit.__aexit__(*raised)

    def renew_if_late(self):
        self.limiter.asked += 1
        return asyncio.sleep(self.limiter.seconds) if self.limiter.asked == 1 else None


async def test_a_connection_that_idled_while_its_request_waited_is_replaced(monkeypatch):
    """It may be closed at any moment; nothing was sent on it, and nothing counts as sent."""
    monkeypatch.setattr(attempt, "KEEP_ALIVE", 0.1)
    async with serving(answer(FOUND)) as server:
        limiter = HoldingLimiter(0.2)
        async with client(server.url, limiter=limiter) as one:
            assert len(await one.send(search_call())) == 1

    assert (limiter.asked, server.requests, server.connections) == (2, 1, 2)


async def test_a_new_connection_is_kept_while_it_is_surely_fresh(slow_dns, monkeypatch):
    """Connecting took a while, so that it is no connection that had idled before."""
    monkeypatch.setattr(attempt, "KEEP_ALIVE", 60.0)
    slow_dns(0.1)
    async with serving(answer(FOUND)) as server:
        limiter = HoldingLimiter(0.2)
        async with client(server.url, limiter=limiter) as one:
            assert len(await one.send(search_call())) == 1

    assert (limiter.asked, server.requests, server.connections) == (1, 1, 1)


async def test_a_connection_that_the_server_closed_meanwhile_is_not_written_to(
    slow_dns, transport, monkeypatch
):
    """The request is sent once, on another connection; the reference learns of it too late."""
    monkeypatch.setattr(attempt, "KEEP_ALIVE", 60.0)
    slow_dns(0.1)
    async with serving(answer(FOUND)) as server:
        limiter = HoldingLimiter(0.3)
        async with client(server.url, limiter=limiter) as one:
            sending = asyncio.ensure_future(one.send(search_call()))
            async with asyncio.timeout(10):
                while not limiter.asked:  # noqa: ASYNC110  # the transport calls it
                    await asyncio.sleep(0.01)
            server.close_connections()
            if transport == "reference":
                with pytest.raises(OutcomeUnknown):
                    await sending
                assert server.requests == 0
                return
            assert len(await sending) == 1

    assert (limiter.asked, server.requests, server.connections) == (2, 1, 2)


async def test_the_request_timeout_does_not_run_while_a_late_request_waits():
    """Three times as long as the silence that ends a request."""
    async with serving(answer(FOUND)) as server:
        policy = evolve(HASTY, timeout=0.2, connect_timeout=0.2)
        async with client(server.url, limiter=HoldingLimiter(0.6), policy=policy) as one:
            assert len(await one.send(search_call())) == 1

    assert server.requests == 1


async def test_the_deadline_holds_while_a_late_request_waits():
    """No byte was sent: the error says so."""
    async with serving(answer(FOUND)) as server:
        policy = evolve(HASTY, deadline=0.3)
        async with client(server.url, limiter=HoldingLimiter(60.0), policy=policy) as one:
            with pytest.raises(NotSent) as caught:
                await one.send(search_call())

    assert caught.value.billed == "no"
    assert server.requests == 0
