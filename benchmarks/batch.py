"""What does the record cost? Batches with a ledger against bare loops without, and resuming."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _harness as harness
import aiohttp

from memories_async import Call, Client, Hosts, Ledger, Limit, Limits, captions
from memories_async._http.attempt import Attempt
from memories_async._protocol.reply import Reply
from memories_async.ledger._claims import Claimed
from memories_async.ledger._coordinator import build_entry_key

RATE = 500.0
WIDTH = 64
BODY = b'{"code": 0, "msg": "success", "data": {"task_id": "8e03075a-2230-4e5a-a4c5"}}'
REPLY = Reply(status=200, body=BODY)
PATH = "/v1/understand/upload"
ACCOUNT = "a" * 24 + "@http://127.0.0.1:1"


def call(number: int) -> Call[captions.CaptionTask]:
    """Build one caption of a hundred thousand."""
    return captions.upload(
        f"https://example.com/{number}.mp4",
        user_prompt="What happens?",
        system_prompt="Be brief.",
        callback="https://example.com/callback",
    )


def calls(count: int) -> Iterator[tuple[int, Call[captions.CaptionTask]]]:
    """Build them as they are needed."""
    return ((number, call(number)) for number in range(count))


class Nowhere:
    """A transport that answers at once."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Answer, after giving the others a turn."""
        await asyncio.sleep(0)
        return REPLY

    async def aclose(self) -> None:
        """Nothing was opened."""


def client(url: str, rate: float) -> Client:
    """Build a client with nothing in its way but *rate*."""
    limits = Limits(captions=Limit(rate, concurrency=WIDTH))
    return Client(api_key=harness.KEY, hosts=Hosts.at(url), limits=limits)


def nowhere() -> Client:
    """Build a client with everything but a network."""
    one = client("http://127.0.0.1:1", 1e9)
    one._transport = Nowhere()
    return one


async def drained(sender: Client, count: int, ledger: Ledger | None) -> int:
    """Run a batch to its end and return how many were answered."""
    answered = 0
    async with sender.batch(calls(count), ledger=ledger, concurrency=WIDTH) as batch:
        async for outcome in batch:
            answered += outcome.error is None
    assert answered == count
    return answered


async def with_ledger(url: str, count: int, rate: float, *, recorded: bool = True) -> float:
    """Seconds a call through a batch."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "run.db") if recorded else None
        async with client(url, rate) as sender:
            begun = time.perf_counter()
            await drained(sender, count, ledger)
            seconds = time.perf_counter() - begun
        if ledger is not None:
            ledger.close()
    return seconds / count


async def bare(url: str, count: int, rate: float) -> float:
    """Seconds a call through workers over aiohttp, evenly spaced, with no record at all."""
    numbers = itertools.count()
    clock = asyncio.get_running_loop().time
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        begun = clock()

        async def work() -> None:
            while (number := next(numbers)) < count:
                await asyncio.sleep(max(0.0, begun + number / rate - clock()))
                body = call(number).body
                async with session.post(url + PATH, data=body.encode()) as response:
                    assert await response.json()

        await asyncio.gather(*(work() for _ in range(WIDTH)))
        return (clock() - begun) / count


async def throughput(url: str, *, quick: bool) -> None:
    """Compare at 500 calls a second, and flat out."""
    count, times = (1_000, 3) if quick else (3_000, 5)
    for rate, name in ((RATE, "batch_at_500_a_second"), (1e9, "batch_flat_out")):
        found = await harness.rounds(
            {
                "ledger": partial(with_ledger, url, count, rate),
                "none": partial(with_ledger, url, count, rate, recorded=False),
                "bare": partial(bare, url, count, rate),
            },
            times,
        )
        rates = ", ".join(f"{n} {1 / min(c):,.0f}/s" for n, c in found.items())
        for other, what in (("bare", "aiohttp workers, no record"), ("none", "without its ledger")):
            # Calls a second of ours, divided by theirs.
            against = harness.ratios(found[other], found["ledger"])
            yardstick = f"{what} ({rates})"
            # The target is for 500 calls a second; flat out, two commits a call must show.
            target = 0.85 if rate == RATE else 0.3
            harness.report(f"{name}_against_{other}", against, yardstick=yardstick, at_least=target)


async def entries(count: int) -> float:
    """Seconds an entry that is claimed, begun and finished, 64 at a time."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "run.db") as ledger:
        keys = iter([build_entry_key(call(number), ACCOUNT) for number in range(count)])
        begun = time.perf_counter()

        async def work() -> None:
            for key in keys:
                (claim,) = await ledger.coordinator.claim([key])
                assert isinstance(claim, Claimed)
                await claim.sending()
                await claim.answered(REPLY)
                await claim.close()

        await asyncio.gather(*(work() for _ in range(WIDTH)))
        return (time.perf_counter() - begun) / count


async def raw(count: int) -> float:
    """Seconds an entry with plain sqlite3, the same three durable steps, 64 to a commit."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB UNIQUE, asked TEXT, state TEXT,"
            " body BLOB)"
        )
        keys = [build_entry_key(call(number), ACCOUNT) for number in range(count)]
        begun = time.perf_counter()
        for start in range(0, count, WIDTH):
            numbers = range(start, min(count, start + WIDTH))
            steps: list[tuple[str, Callable[[int], tuple[Any, ...]]]] = [
                (
                    "INSERT INTO entries VALUES (?, ?, ?, 'planned', NULL)",
                    lambda n: (n, bytes.fromhex(keys[n].key), keys[n].asked),
                ),
                ("UPDATE entries SET state = 'sending' WHERE id = ?", lambda n: (n,)),
                ("UPDATE entries SET state = 'done', body = ? WHERE id = ?", lambda n: (BODY, n)),
            ]
            for statement, values in steps:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(statement, map(values, numbers))
                connection.execute("COMMIT")
        seconds = time.perf_counter() - begun
        connection.close()
    return seconds / count


async def database(*, quick: bool) -> None:
    """Compare the ledger's entries with rows that one thread writes in a loop."""
    count, times = (3_000, 3) if quick else (20_000, 5)
    found = await harness.rounds(
        {"ledger": partial(entries, count), "raw": partial(raw, count)}, times
    )
    rate = f"{1 / min(found['ledger']):,.0f} entries/s against {1 / min(found['raw']):,.0f}"
    harness.report(
        "ledger_rows",
        harness.ratios(found["raw"], found["ledger"]),
        yardstick=f"sqlite3 in a plain loop, same steps and commits ({rate})",
        at_least=0.1,
    )


def peak(count: int) -> float:
    """Tell the extra memory (MB) of sending with a ledger, in a process of its own."""

    async def run() -> float:
        with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "run.db") as ledger:
            await drained(nowhere(), 1_000, ledger)
            with harness.Peak() as found:
                await drained(nowhere(), count, ledger)
            return found.extra

    return asyncio.run(run())


def peak_of_resuming(count: int) -> float:
    """Tell the extra memory (MB) of a batch in which everything is paid already."""
    sender, one = nowhere(), call(0)
    account = sender._settings.bucket(one.host, one.family).account

    async def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.db"
            fill(path, count, account)
            with Ledger(path) as ledger:
                await drained(sender, 1_000, ledger)
                with harness.Peak() as found:
                    await drained(sender, count, ledger)
                return found.extra

    return asyncio.run(run())


def memory(*, quick: bool) -> None:
    """Compare few items with many, sent and resumed."""
    few, sent, resumed = (2_000, 10_000, 50_000) if quick else (10_000, 100_000, 1_000_000)
    for name, work, many in (("sent", peak, sent), ("resumed", peak_of_resuming, resumed)):
        small, large = harness.apart(work, few), harness.apart(work, many)
        harness.report(
            f"batch_memory_{name}_{many}",
            [large - small],
            yardstick=f"{few:,} items: {small:.1f} MB extra; {many:,}: {large:.1f} MB",
            unit="mb",
            at_most=8.0,
        )


def fill(path: Path, count: int, account: str) -> None:
    """Write a ledger in which everything is paid."""
    with Ledger(path) as ledger:
        ledger.summary()
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO entries (id, key, call, asked, account, unit, state, attempts, planned_at)"
            " VALUES (?, ?, 'captions.upload', ?, ?, 'caption', 'done', 1, 1.0)",
            (
                (number, bytes.fromhex(key.key), key.asked, account)
                for number, key in ((n, build_entry_key(call(n), account)) for n in range(count))
            ),
        )
        connection.executemany(
            "INSERT INTO replies VALUES (?, ?)", ((number, BODY) for number in range(count))
        )
    connection.close()


async def resume(*, quick: bool) -> None:
    """See how fast what is paid is skipped."""
    count = 100_000 if quick else 1_000_000
    sender = nowhere()
    settings = sender._settings
    one = call(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        fill(path, count, settings.bucket(one.host, one.family).account)
        rates, walls = [], []
        for _ in range(3):
            begun = time.process_time()
            assert sum(1 for _ in calls(count)) == count
            building = time.process_time() - begun
            ledger, wall, begun = Ledger(path), time.perf_counter(), time.process_time()
            await drained(sender, count, ledger)
            rates.append(count / (time.process_time() - begun - building))
            walls.append(count / (time.perf_counter() - wall))
            ledger.close()
    harness.report(
        f"resume_{count}",
        rates,
        yardstick=f"items a second of CPU, besides building them; by the clock {max(walls):,.0f}",
        unit="per_second",
        at_least=50_000,
    )


def main() -> None:
    """Compare, and print a line for each measure."""
    quick = harness.quick(__doc__)
    with harness.server() as url:
        asyncio.run(throughput(url, quick=quick))
    asyncio.run(database(quick=quick))
    asyncio.run(resume(quick=quick))
    memory(quick=quick)


if __name__ == "__main__":
    main()
