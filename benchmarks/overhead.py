"""What does a call cost beyond bare aiohttp? Client CPU, 1,024 numbers a reply, 16 at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self

import _harness as harness
import aiohttp
import httpx

from memories_async import Client, Hosts, InProcessLimiter, Limit, Limits, RateLimiter
from memories_async._protocol import wire_json
from memories_async.limiter import Bucket

WIDTH = 16
PATH = "/serve/api/v2/embeddings/video"
ASKED = {"asset_id": "re_657", "model": "multimodalembedding@001"}
FAR = Limit(1e9, concurrency=WIDTH)
"""A rate out of reach, so that what is measured is the limiter's work, not its waiting."""

Ask = Callable[[], Awaitable[object]]


def bare(session: aiohttp.ClientSession, url: str) -> Ask:
    """Ask with aiohttp alone."""

    async def ask() -> object:
        headers = {"Authorization": harness.KEY}
        async with session.post(url + PATH, json=ASKED, headers=headers) as response:
            return wire_json.loads(await response.read())["data"]["embedding"]

    return ask


def through_httpx(client: httpx.AsyncClient, url: str) -> Ask:
    """Ask with httpx."""

    async def ask() -> object:
        headers = {"Authorization": harness.KEY}
        response = await client.post(url + PATH, json=ASKED, headers=headers)
        return wire_json.loads(response.content)["data"]["embedding"]

    return ask


class NoLimiter:
    """A limiter that is none: a call without it shows what the real one costs inside a call."""

    fault = None

    def permit(self, bucket: Bucket) -> NoLimiter:
        """Let everybody go."""
        return self

    async def pause(self, bucket: Bucket, seconds: float) -> None:
        """Hold nobody back."""

    def renew_if_late(self) -> None:
        """Let every request be sent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give nothing back."""


def paced(url: str, limiter: RateLimiter) -> Client:
    """Build the client under test."""
    limits = Limits(embeddings=FAR)
    return Client(api_key=harness.KEY, hosts=Hosts.at(url), limits=limits, limiter=limiter)


def cost(ask: Ask, count: int) -> harness.Cost:
    """Measure CPU seconds a call."""

    async def run() -> float:
        begun = time.process_time()
        await harness.at_once(ask, count=count, width=WIDTH)
        return harness.cpu_per_call(begun, count)

    return run


async def limiter_cost(count: int) -> float:
    """Measure the microseconds of CPU that one turn takes, with nobody in the way."""
    limiter, bucket = InProcessLimiter(), Bucket(account="a", family="embeddings", limit=FAR)

    async def turn() -> None:
        async with limiter.permit(bucket) as taken:
            taken.renew_if_late()

    async def nothing() -> None:
        pass

    with_turn, without = cost(turn, count), cost(nothing, count)
    return (await with_turn() - await without()) * 1e6


async def main() -> None:
    """Compare, and print a line for each measure."""
    quick = harness.quick(__doc__)
    count, times = (320, 7) if quick else (1600, 25)
    with harness.server() as url:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(paced(url, InProcessLimiter()))
            unpaced = await stack.enter_async_context(paced(url, NoLimiter()))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            other = await stack.enter_async_context(httpx.AsyncClient())
            costs = await harness.rounds(
                {
                    "ours": cost(lambda: client.embeddings.video("re_657"), count),
                    "unpaced": cost(lambda: unpaced.embeddings.video("re_657"), count),
                    "bare": cost(bare(session, url), count),
                    "httpx": cost(through_httpx(other, url), count // 4),
                },
                times,
            )
    harness.report(
        "call_cpu_vs_aiohttp",
        harness.ratios(costs["ours"], costs["bare"]),
        yardstick="bare aiohttp and the same JSON decoder, into a list",
        at_most=0.95,
    )
    harness.report(
        "call_cpu_httpx_vs_ours",
        harness.ratios(costs["httpx"], costs["ours"]),
        yardstick="httpx.AsyncClient and the same JSON decoder",
        at_least=4.0,
    )
    harness.report(
        "limiter_cpu_within_a_call",
        [(a - b) * 1e6 for a, b in zip(costs["ours"], costs["unpaced"], strict=True)],
        yardstick="the same calls without a limiter: a difference of large numbers",
        unit="microseconds",
        at_most=5.0,
    )
    harness.report(
        "limiter_cpu_per_call",
        [await limiter_cost(count * 10) for _ in range(times)],
        yardstick="the same tasks without a turn",
        unit="microseconds",
        at_most=5.0,
    )


if __name__ == "__main__":
    asyncio.run(main())
