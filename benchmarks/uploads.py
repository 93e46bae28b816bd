"""What does a caption upload of 20 MB from a path take? Speed, memory, and stalls of the event loop."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import _harness as harness
import aiohttp
import requests

from memories_async import Client, Hosts, Limit, Limits

PATH = "/v1/understand/uploadFile"
SIZE = 20 * 1024 * 1024
ASKED = '{"user_prompt":"u","system_prompt":"s","callback":"https://example.com/cb"}'
HEADERS = {"Authorization": harness.KEY}

Send = Callable[[], Awaitable[object]]
Sender = Callable[[str, Path], Awaitable[tuple[Send, Send]]]


async def ours(url: str, video: Path) -> tuple[Send, Send]:
    """Upload with the client."""
    far = Limits(captions=Limit(1e9))
    client = Client(api_key=harness.KEY, hosts=Hosts.at(url), limits=far)

    async def send() -> object:
        return await client.captions.upload_file(
            video, user_prompt="u", system_prompt="s", callback="https://example.com/cb"
        )

    return send, client.aclose


async def bare(url: str, video: Path) -> tuple[Send, Send]:
    """Upload with aiohttp alone, from an open file."""
    session = aiohttp.ClientSession()

    async def send() -> object:
        form = aiohttp.FormData()
        form.add_field("req", ASKED, filename="req.json", content_type="application/json")
        with video.open("rb") as file:
            form.add_field("files", file, filename="video.mp4", content_type="video/mp4")
            async with session.post(url + PATH, data=form, headers=HEADERS) as response:
                return await response.json()

    return send, session.close


async def through_requests(url: str, video: Path) -> tuple[Send, Send]:
    """Upload with requests; it blocks, so the loop has nothing to say."""
    session = requests.Session()

    async def send() -> object:
        with video.open("rb") as file:
            files = [
                ("req", ("req.json", ASKED, "application/json")),
                ("files", ("video.mp4", file, "video/mp4")),
            ]
            return session.post(url + PATH, files=files, headers=HEADERS).json()

    async def close() -> None:
        session.close()

    return send, close


async def _speeds(url: str, video: Path, count: int) -> dict[str, list[float]]:
    senders: dict[str, Sender] = {"ours": ours, "bare": bare, "requests": through_requests}
    made = {name: await sender(url, video) for name, sender in senders.items()}

    def cost(send: Send) -> harness.Cost:
        async def run() -> float:
            begun = time.perf_counter()
            for _ in range(3):
                await send()
            return time.perf_counter() - begun

        return run

    try:
        return await harness.rounds({name: cost(pair[0]) for name, pair in made.items()}, count)
    finally:
        for _, close in made.values():
            await close()


def alone(url: str, video: Path, sender: Sender, rounds: int) -> tuple[float, list[float]]:
    """Tell the peak of extra memory (MB) and the longest stalls (ms), in a process of its own."""
    os.sched_setaffinity(0, {harness.CORES[0]})

    async def run() -> tuple[float, list[float]]:
        send, close = await sender(url, video)
        stalls: list[float] = []
        # The first upload, for memory that an earlier one left behind would hide what it takes.
        with harness.Peak() as peak:
            await send()
        for _ in range(rounds):
            async with harness.Stall() as stall:
                await send()
            stalls.append(stall.longest * 1e3)
        await close()
        return peak.extra, stalls

    return asyncio.run(run())


async def main() -> None:
    """Compare, and print a line for each measure."""
    count = 7 if harness.quick(__doc__) else 25
    with harness.server() as url, tempfile.TemporaryDirectory() as folder:
        video = Path(folder, "video.mp4")
        video.write_bytes(os.urandom(SIZE))  # noqa: ASYNC240  # nothing runs beside it
        costs = await _speeds(url, video, count)
        seen = {s: [harness.apart(alone, url, video, s, 3) for _ in range(3)] for s in (ours, bare)}
    for rival, target in (("bare", 1.0), ("requests", 2.0)):
        harness.report(
            f"upload_20mb_speed_vs_{rival}",
            harness.ratios(costs[rival], costs["ours"]),
            yardstick="aiohttp FormData(open file)" if rival == "bare" else "requests, files=",
            at_least=target,
        )
    for at, (name, unit, most) in enumerate(
        (("extra_memory", "mb", 10.0), ("longest_stall", "ms", 5.0))
    ):
        theirs = _flat(seen[bare], at)
        harness.report(
            f"upload_20mb_{name}",
            _flat(seen[ours], at),
            yardstick=f"aiohttp FormData(open file): {sorted(theirs)[len(theirs) // 2]:.1f} {unit}",
            unit=unit,
            at_most=most,
        )


def _flat(seen: list[tuple[float, list[float]]], at: int) -> list[float]:
    return [one[0] for one in seen] if at == 0 else [ms for one in seen for ms in one[1]]


if __name__ == "__main__":
    asyncio.run(main())
