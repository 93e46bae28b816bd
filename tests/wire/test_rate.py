"""Calls at once against a server that enforces the account's rate and counts."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import evolve
from callers import HASTY, client
from samples import EMBEDDED, FOUND, LIMITED, embed_call, search_call
from servers import answer, serving

from memories_async import InProcessLimiter, Limit, Limits


def granting(rate: float):
    """Answer as many calls as *rate* gives since the first one, and two more; refuse the rest.

    The server may read a call late, when those after it look early. A count over the whole time
    stands that; a gap between two calls does not.
    """
    first: list[float] = []
    granted = 0

    async def behave(exchange):
        nonlocal granted
        now = time.monotonic()
        first.append(now)
        is_fast = granted >= 3 + (now - first[0]) * rate
        granted += not is_fast
        await answer(LIMITED if is_fast else FOUND)(exchange)

    return behave


async def at_once(number: int, rate: float) -> tuple[int, float]:
    """Send *number* calls at once; return the server's count and the seconds."""
    limits = Limits(search=Limit(rate))
    async with serving(granting(rate)) as server:
        settings = {"limits": limits, "policy": evolve(HASTY, deadline=None, timeout=20.0)}
        async with client(server.url, **settings) as one:
            begun = time.monotonic()
            found = await asyncio.gather(*(one.send(search_call()) for _ in range(number)))
            seconds = time.monotonic() - begun
    assert all(len(clips) == 1 for clips in found)
    return server.requests, seconds


async def test_calls_at_once_need_one_request_each():
    """30 calls at 25/s: each is answered, none is refused, and the time is what the rate says."""
    requests, seconds = await at_once(30, 25.0)

    assert requests == 30
    assert seconds > 29 / 25


@pytest.mark.slow
async def test_thirty_calls_at_once_at_the_documented_rate():
    """The real figure: one a second."""
    requests, seconds = await at_once(30, 1.0)

    assert requests == 30
    assert 29 <= seconds < 32


async def test_two_clients_of_one_account_keep_one_rate():
    """The limit is the account's, not the client's."""
    limiter, limits = InProcessLimiter(), Limits(search=Limit(50.0))
    async with serving(answer(FOUND)) as server:
        one = client(server.url, limiter=limiter, limits=limits)
        two = client(server.url, limiter=limiter, limits=limits)
        async with one, two:
            await asyncio.gather(*(c.send(search_call()) for c in (one, two) for _ in range(6)))

    assert server.requests == 12
    assert server.arrivals[-1] - server.arrivals[0] > 10 / 50


async def test_the_endpoint_families_do_not_wait_for_each_other():
    """Each has its own limit."""
    limits = Limits(search=Limit(1, per=60.0), embeddings=Limit(1, per=60.0))
    async with serving(answer(FOUND), answer(EMBEDDED)) as server:
        one = client(server.url, limits=limits)
        async with one, asyncio.timeout(10):
            await one.send(search_call())
            await one.send(embed_call())

    assert server.requests == 2
