"""How fast does a search with a 200 KB image go? Against aiohttp's FormData over the same bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import _harness as harness
import aiohttp

from memories_async import Client, Hosts, Limit, Limits
from memories_async._protocol import wire_json

WIDTH = 8
PATH = "/serve/api/v1/search_clips_by_image"
FIELDS = {"video_no": "VI625", "prompt": "focus on the red shirt", "unique_id": "default"}
IMAGE = b"\x89PNG\r\n\x1a\n" + os.urandom(200 * 1024)
FAR = Limits(search=Limit(1e9, concurrency=WIDTH))

Ask = Callable[[], Awaitable[object]]


def bare(session: aiohttp.ClientSession, url: str) -> Ask:
    """Search with aiohttp alone."""

    async def ask() -> object:
        form = aiohttp.FormData(FIELDS)
        form.add_field("file", IMAGE, filename="query.png", content_type="image/png")
        headers = {"Authorization": harness.KEY}
        async with session.post(url + PATH, data=form, headers=headers) as response:
            return wire_json.loads(await response.read())["data"]

    return ask


def ours(client: Client) -> Ask:
    """Search with the client."""
    return lambda: client.clips.search(IMAGE, prompt=FIELDS["prompt"], video_no=FIELDS["video_no"])


def cost(ask: Ask, count: int, clock: Callable[[], float]) -> harness.Cost:
    """Measure seconds a call on *clock*."""

    async def run() -> float:
        begun = clock()
        await harness.at_once(ask, count=count, width=WIDTH)
        return (clock() - begun) / count

    return run


async def main() -> None:
    """Compare, and print a line for each measure."""
    count, times = (160, 9) if harness.quick(__doc__) else (400, 25)
    with harness.server() as url:
        async with AsyncExitStack() as stack:
            client = Client(api_key=harness.KEY, hosts=Hosts.at(url), limits=FAR)
            mine = ours(await stack.enter_async_context(client))
            theirs = bare(await stack.enter_async_context(aiohttp.ClientSession()), url)
            clocks = {"calls": (time.perf_counter, 1.5), "cpu": (time.process_time, 1.0)}
            for name, (clock, target) in clocks.items():
                pair = {"ours": cost(mine, count, clock), "bare": cost(theirs, count, clock)}
                costs = await harness.rounds(pair, times)
                harness.report(
                    f"search_200kb_{name}",
                    harness.ratios(costs["bare"], costs["ours"]),
                    yardstick=f"aiohttp FormData(bytes), {WIDTH} at a time",
                    at_least=target,
                )


if __name__ == "__main__":
    asyncio.run(main())
