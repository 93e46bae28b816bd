"""What does a permit cost, how much of the rate is used, and how evenly do requests arrive?

The cost is that of one permit whose rate is out of reach, beside other limiters and a bare semaphore;
a file's over that of the process, 16 calls at a time and alone. The share is what waiting calls get of
a rate, in one process and in many. The squeeze is what decides the margin: by how much the arrivals of
a window lie closer together than they were planned.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import _harness as harness
from aiohttp import web
from aiolimiter import AsyncLimiter
from pyrate_limiter import Limiter, Rate

from memories_async import (
    Client,
    FileLimiter,
    Hosts,
    InProcessLimiter,
    Limit,
    Limits,
    Policy,
    RateLimiter,
)
from memories_async.limiter import Bucket
from memories_async.limiter._limits import MARGIN

FAR = 1e9
WIDTH = 16
SPAWN = multiprocessing.get_context("spawn")


def bucket(rate: float) -> Bucket:
    return Bucket(account="account@https://api.memories.ai", family="search", limit=Limit(rate))


async def take(limiter: RateLimiter, where: Bucket) -> None:
    """Take a permit as the transport does."""
    async with limiter.permit(where) as permit:
        renewal = permit.renew_if_late()
        if renewal is not None:
            await renewal


def contenders() -> dict[str, Callable[[], Awaitable[object]]]:
    """Build what limits calls, with rates out of reach."""
    ours, where = InProcessLimiter(), bucket(FAR)
    semaphore, leaky = asyncio.Semaphore(64), AsyncLimiter(FAR, 1)
    pyrate = Limiter(Rate(10**9, 1000))

    async def paced() -> None:
        await take(ours, where)

    async def guarded() -> None:
        async with semaphore:
            pass

    async def limited() -> None:
        async with leaky:
            pass

    async def pyrated() -> None:
        await pyrate.try_acquire_async("account")

    return {"limiter": paced, "semaphore": guarded, "aiolimiter": limited, "pyrate": pyrated}


def cost(take: Callable[[], Awaitable[object]], count: int) -> harness.Cost:
    async def run() -> float:
        begun = time.process_time()
        for _ in range(count):
            await take()
        return (time.process_time() - begun) / count * 1e6

    return run


async def costs(quick: bool) -> None:
    # pyrate-limiter remembers every permit, and gets slower with each: short rounds are kind to it.
    takes = {name: cost(take, 300) for name, take in contenders().items()}
    found = await harness.rounds(takes, 10 if quick else 50)
    harness.report("permit", found["limiter"], unit="us", yardstick="nothing", at_most=5.0)
    for rival, most in (("semaphore", 12.0), ("aiolimiter", 3.0), ("pyrate", 0.5)):
        ratio = harness.ratios(found["limiter"], found[rival])
        harness.report(f"permit_to_{rival}", ratio, yardstick=rival, at_most=most)


async def file_costs(quick: bool) -> None:
    """Measure the default limiter, whose buckets are in a file, beside that of the process."""
    with tempfile.TemporaryDirectory() as folder:
        where = Bucket(account="account", family="search", limit=Limit(FAR, concurrency=WIDTH))
        limiters: dict[str, RateLimiter] = {
            "process": InProcessLimiter(),
            "file": FileLimiter(Path(folder, "account.limiter")),
        }

        def press(limiter: RateLimiter) -> harness.Cost:
            async def run() -> float:
                begun = time.process_time()
                await harness.at_once(lambda: take(limiter, where), count=1600, width=WIDTH)
                return (time.process_time() - begun) / 1600 * 1e6

            return run

        def alone(limiter: RateLimiter) -> harness.Cost:
            async def run() -> float:
                begun = time.perf_counter()
                for _ in range(100):
                    await take(limiter, where)
                return (time.perf_counter() - begun) / 100 * 1e3

            return run

        times = 7 if quick else 25
        cpu = await harness.rounds({k: press(one) for k, one in limiters.items()}, times)
        latency = await harness.rounds({k: alone(one) for k, one in limiters.items()}, times)
    over = [file - process for file, process in zip(cpu["file"], cpu["process"], strict=True)]
    yardstick = "the same permits in process, 16 at a time"
    harness.report("file_permit_cpu_over", over, unit="us", yardstick=yardstick, at_most=100.0)
    ratio = harness.ratios(cpu["file"], cpu["process"])
    harness.report("file_permit_cpu_to_process", ratio, yardstick=yardstick, at_most=12.0)
    harness.report(
        "file_permit_alone", latency["file"], unit="ms", yardstick="nothing", at_most=0.3
    )


async def share(rate: float, seconds: float) -> float:
    """Line calls up for so many seconds; what part of the rate did they get?"""
    limiter, where, times = InProcessLimiter(), bucket(rate), list[float]()

    async def one() -> None:
        await take(limiter, where)
        times.append(time.monotonic())

    await asyncio.gather(*(one() for _ in range(int(rate * seconds) + 1)))
    return (len(times) - 1) / (times[-1] - times[0]) / rate


async def shares(quick: bool) -> None:
    for rate in (1, 10, 50, 500):
        seconds = 3.0 if quick else 10.0
        found = [await share(rate, seconds) for _ in range(1 if quick else 3)]
        harness.report(f"share_of_{rate}_a_second", found, yardstick="the rate", at_least=0.97)


def worker(url: str, path: str, count: int) -> None:
    """Call *count* times at ten a second, with all other workers of the file."""

    async def work() -> None:
        limiter, limits = FileLimiter(path), Limits(embeddings=Limit(10))
        policy = Policy(attempts=1)
        async with Client(
            api_key=harness.KEY, hosts=Hosts.at(url), limits=limits, limiter=limiter, policy=policy
        ) as client:
            await asyncio.gather(*(client.embeddings.video("re_1") for _ in range(count)))

    asyncio.run(work())


async def arrivals(workers: int, count: int, answer_after: float) -> list[float]:
    """Let workers call a server that logs when headers arrive, and answers after a while."""
    log: list[float] = []

    async def response(request: web.Request) -> web.Response:
        log.append(time.monotonic())
        await request.read()
        await asyncio.sleep(answer_after)
        return web.json_response({"code": "0000", "msg": "success", "data": {"embedding": [1.0]}})

    app = web.Application()
    app.router.add_post("/{any:.*}", response)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "account.limiter"))
        crowd = [SPAWN.Process(target=worker, args=(url, path, count)) for _ in range(workers)]
        for one in crowd:
            one.start()
        for one in crowd:
            await asyncio.to_thread(one.join)
    await runner.cleanup()
    return log


def squeeze(log: list[float]) -> float:
    """Milliseconds by which eleven arrivals in a row lie closer than planned, at worst."""
    planned = 10 * Limit(10).gap
    return 1000 * max(planned - (b - a) for a, b in zip(log, log[10:], strict=False))


async def squeezes(quick: bool) -> None:
    for workers, after in ((1, 0.0), (1, 0.5), (4, 0.0), (4, 0.5)):
        count = (40 if quick else 200) // workers
        log = await arrivals(workers, count, after)
        name = f"squeeze_{workers}_processes_answers_after_{after:g}_s"
        margin = 1000 * MARGIN
        harness.report(name, [squeeze(log)], unit="ms", yardstick="the margin", at_most=margin)
        used = (len(log) - 1) / (log[-1] - log[0]) / 10
        harness.report(f"share_{workers}_processes", [used], yardstick="the rate", at_least=0.97)


async def main(quick: bool) -> None:
    await costs(quick)
    await file_costs(quick)
    await shares(quick)
    await squeezes(quick)


if __name__ == "__main__":
    asyncio.run(main(harness.quick(__doc__)))
