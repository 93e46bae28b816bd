"""How many callbacks a second are stored, how soon a waiter wakes, and whether any callback is lost.

Two processes on loopback share one SQLite file: this one sends, the other receives, and every
acknowledged callback is on the disk. It is compared, in the same run and with the same sender, with
an aiohttp handler that only answers 200. Each measure prints one line of JSON; `--kills 50` kills
the receiver 50 times and counts what is lost.

    python benchmarks/receiver.py [--quick] [--kills N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from memories_async import CaptionTask, Receiver, captions

URL = "http://127.0.0.1:{port}/cb"
CALL = captions.upload("https://v.example/v.mp4", user_prompt="look", system_prompt="see")
TEXT = "A man enters the room and greets two colleagues. " * 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument(
        "--kills", type=int, default=0, help="only kill the receiver this many times"
    )
    parser.add_argument("--server", nargs=3, metavar=("KIND", "PORT", "STORE"))
    arguments = parser.parse_args()
    if arguments.server:
        asyncio.run(serve(*arguments.server))
    elif arguments.kills:
        asyncio.run(measure_kills(arguments.kills))
    else:
        asyncio.run(measure(scale=0.1 if arguments.quick else 1.0))


async def serve(kind: str, port: str, store: str) -> None:
    from aiohttp import web

    if kind == "receiver":
        async with Receiver(URL.format(port=port), store=store).serve(port=int(port)):
            await asyncio.Event().wait()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer_200)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


async def answer_200(request):
    from aiohttp import web

    await request.read()
    return web.Response()


@contextlib.contextmanager
def server(kind: str, store: Path) -> Iterator[tuple[int, subprocess.Popen]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--server", kind, str(port), str(store)])
    try:
        wait_for(port)
        yield port, process
    finally:
        process.kill()
        process.wait()


def cpu_seconds(process: subprocess.Popen) -> float:
    """Return the CPU time of *process* so far; 0 where the system does not report it."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit("the server did not start")


async def submit(receiver: Receiver, count: int) -> list[tuple[str, CaptionTask]]:
    """Submit *count* tasks; return their callbacks."""

    async def one(number: int) -> tuple[str, CaptionTask]:
        urls = []

        async def send(call):
            urls.append(call.body.document["callback"])
            return CaptionTask(f"task-{time.time_ns()}-{number}")

        task = await receiver.submit(CALL, send)
        return urls[0], task

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def payload(task: CaptionTask) -> bytes:
    token = {"input": 123, "output": 456, "total": 579}
    body = {"status": 0, "task_id": task.task_id, "data": {"text": TEXT, "token": token}}
    return json.dumps(body).encode()


async def post_all(deliveries: list[tuple[str, CaptionTask]], connections: int) -> float:
    """Send every callback over a few kept connections; return callbacks a second."""
    requests = [(url, payload(task)) for url, task in deliveries]
    begun = time.perf_counter()
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as http:
        left = iter(requests)

        async def work() -> None:
            for url, body in left:
                async with http.post(url, data=body) as reply:
                    assert reply.status == 200, reply.status

        await asyncio.gather(*(work() for _ in range(connections)))
    return len(requests) / (time.perf_counter() - begun)


async def measure(scale: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await measure_rate(Path(folder), int(6_000 * scale), rounds=5 if scale == 1 else 2)
        await measure_wake(Path(folder), int(1_000 * scale))


async def measure_rate(folder: Path, count: int, rounds: int) -> None:
    durable, bare, spent = [], [], {"bare": [], "receiver": []}
    for number in range(rounds):
        store = folder / f"rate-{number}.db"
        # One server at a time, so that each has both cores.
        with server("bare", store) as (port, process):
            deliveries = [(URL.format(port=port), CaptionTask(f"t{n}")) for n in range(count)]
            await post_all(deliveries[: count // 10], 64)
            begun = cpu_seconds(process)
            bare.append(await post_all(deliveries, 64))
            spent["bare"].append(cpu_seconds(process) - begun)
        with server("receiver", store) as (port, process):
            receiver = Receiver(URL.format(port=port), store=store)
            deliveries = await submit(receiver, count + count // 10)
            await post_all(deliveries[count:], 64)
            begun = cpu_seconds(process)
            durable.append(await post_all(deliveries[:count], 64))
            spent["receiver"].append(cpu_seconds(process) - begun)
            receiver.close()
    ratios = sorted(ours / theirs for ours, theirs in zip(durable, bare, strict=True))
    report(
        "stored callbacks a second",
        value=round(statistics.median(durable)),
        bare_handler=round(statistics.median(bare)),
        ratio=round(statistics.median(ratios), 2),
        ratios=[round(ratio, 2) for ratio in ratios],
        # Unlike the rates, CPU times hardly depend on other load.
        cpu_us={name: round(statistics.median(all_) / count * 1e6) for name, all_ in spent.items()},
        load=round(os.getloadavg()[0], 1),
        connections=64,
        deliveries=count,
    )


async def measure_wake(folder: Path, count: int) -> None:
    """Measure from the POST to the waiter, in the receiving process and in another one."""
    store = folder / "wake.db"
    here = Receiver("http://127.0.0.1:0/cb", store=store)
    async with here.serve():
        report("ms from POST to waking, same process", **await time_wakes(here, count))
    here.close()
    with server("receiver", store) as (port, _):
        other = Receiver(URL.format(port=port), store=store)
        report("ms from POST to waking, other process", **await time_wakes(other, count // 5))
        other.close()


async def time_wakes(receiver: Receiver, count: int) -> dict[str, float]:
    seconds = []
    deliveries = await submit(receiver, count)
    async with aiohttp.ClientSession() as http:

        async def one(url: str, task: CaptionTask) -> None:
            waiter = asyncio.create_task(receiver.wait(task))
            await asyncio.sleep(0.02)
            begun = time.perf_counter()
            waiter.add_done_callback(lambda _: seconds.append(time.perf_counter() - begun))
            async with http.post(url, data=payload(task)) as reply:
                assert reply.status == 200
            await waiter

        # One waiter that stays keeps the reading of news running between the others.
        async with receiver._open().waiters.expect("never", lambda _: False):
            for url, task in deliveries:
                await one(url, task)
    seconds.sort()
    places = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
    at = {name: min(int(count * place), count - 1) for name, place in places.items()}
    return {name: round(seconds[place] * 1_000, 2) for name, place in at.items()}


async def measure_kills(kills: int) -> None:
    """Kill the receiver with SIGKILL under load; every callback it acknowledged must be found."""
    dice = random.Random(7)
    acknowledged = found = unanswered = 0
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "killed.db"
        for _ in range(kills):
            with server("receiver", store) as (port, process):
                receiver = Receiver(URL.format(port=port), store=store)
                deliveries = await submit(receiver, 400)
                confirmed = await kill_under_load(process, deliveries, dice.uniform(0.02, 0.25))
            acknowledged += len(confirmed)
            unanswered += len(deliveries) - len(confirmed)
            found += sum([bool(await receiver.deliveries(task)) for task in confirmed])
            assert await deliver_again(receiver, *deliveries[0]) == 200
            receiver.close()
        with sqlite3.connect(store) as file:
            sound = file.execute("PRAGMA integrity_check").fetchone()[0]
        file.close()
    ratio = found / acknowledged
    report(
        "acknowledged callbacks found after kill -9",
        value=ratio,
        kills=kills,
        acknowledged=acknowledged,
        found=found,
        not_acknowledged=unanswered,
        integrity=sound,
    )
    if ratio != 1 or sound != "ok":
        raise SystemExit("an acknowledged callback was lost")


async def kill_under_load(
    process: subprocess.Popen, deliveries: list[tuple[str, CaptionTask]], after: float
) -> list[CaptionTask]:
    """Send from 32 tasks, kill *after* seconds; return the tasks whose callback was answered 200."""
    confirmed: list[CaptionTask] = []
    left = iter(deliveries)
    async with aiohttp.ClientSession() as http:

        async def work() -> None:
            for url, task in left:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with http.post(url, data=payload(task)) as reply:
                        if reply.status == 200:
                            confirmed.append(task)

        async def kill() -> None:
            await asyncio.sleep(after)
            process.send_signal(signal.SIGKILL)

        await asyncio.gather(kill(), *(work() for _ in range(32)))
    return confirmed


async def deliver_again(receiver: Receiver, url: str, task: CaptionTask) -> int:
    """Repeat a callback to a receiver in this process; return the status."""
    async with aiohttp.ClientSession() as http, receiver.serve() as address:
        here = f"{address.url}/{url.rpartition('/')[2]}"
        async with http.post(here, data=payload(task)) as reply:
            return reply.status


def report(measure: str, **values: object) -> None:
    machine = {"python": platform.python_version(), "aiohttp": aiohttp.__version__}
    machine |= {"sqlite": sqlite3.sqlite_version, "cores": os.cpu_count()}
    print(json.dumps({"measure": measure, **values, **machine}), flush=True)


if __name__ == "__main__":
    main()
