"""A batch that is killed at any moment and run again pays nothing twice and loses nothing.

The referee is the embedded service in another process than the batch: its account and its database.
MEMORIES_TEST_KILLS=200 runs the full number of random kills.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
from collections import Counter
from hashlib import sha256

import crashing
import pytest

from memories_async import Ledger
from memories_async.local import LocalService
from memories_async.local.engine.protocol import Facts, SearchResult, Shot

KILLS = int(os.environ.get("MEMORIES_TEST_KILLS", "12"))
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["crashing"])


class Index:
    """The index of the engine below."""

    facts = Facts(
        duration=30.0,
        width=64,
        height=48,
        fps=25.0,
        frames=750,
        shots=(Shot(start_time=0.0, end_time=30.0),),
    )


class Engine:
    """An engine that finds nothing: only the account matters here."""

    name = "nothing/1"

    def index(self, path):
        return Index()

    def search(self, index, image, prompt):
        return SearchResult(clips=(), ignored=())


@pytest.fixture
def film(tmp_path):
    """A file that the engine accepts as a video."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    return path


def start(service, ledger, **settings):
    """Start a process that runs the batch."""
    receiving, sending = SPAWN.Pipe(duplex=False)
    video_no = service.library[0].video_no
    arguments = (service.url, service.api_key, str(ledger.path), {**settings, "video_no": video_no})
    process = SPAWN.Process(target=crashing.run, args=(sending, *arguments))
    process.start()
    sending.close()
    assert receiving.recv() == "ready"
    return process, receiving


async def finish(service, ledger, **settings) -> dict:
    """Run the batch to its end in a process of its own."""
    process, receiving = await asyncio.to_thread(start, service, ledger, **settings)
    found = await asyncio.to_thread(receiving.recv)
    await asyncio.to_thread(process.join)
    return found


def requests(service) -> Counter:
    """How often the service saw each item's picture."""
    pictures = [one.uploads[0] for one in service.request_log if one.uploads]
    assert len(pictures) >= service.account.paid
    return Counter(pictures)


def seen(service, number) -> int:
    """How often the service saw one item."""
    return requests(service)[sha256(crashing.picture(number)).hexdigest()]


def check(service, ledger, found, count) -> None:
    """Compare what the batch says with what the service knows."""
    unknown = {number for number, billed in found.items() if billed == "maybe"}
    answered = {number for number, billed in found.items() if billed is None}
    assert len(answered) + len(unknown) == len(found) == count
    assert max(requests(service).values()) == 1
    assert all(seen(service, number) == 1 for number in answered)
    assert len(answered) <= service.account.paid <= len(answered) + len(unknown)
    summary = ledger.summary()
    assert (summary.done, summary.unknown) == (len(answered), len(unknown))
    assert summary.sending == summary.planned == 0


@pytest.mark.parametrize("step", crashing.STEPS)
async def test_a_batch_killed_at_any_step_pays_nothing_twice(film, tmp_path, step):
    """The item in flight is unknown exactly where the service may have seen it."""
    async with LocalService([film], engine=Engine(), limits=None) as service:
        with Ledger(tmp_path / "run.db") as ledger:
            process, _ = await asyncio.to_thread(
                start, service, ledger, count=8, concurrency=1, step=step, nth=4
            )
            await asyncio.to_thread(process.join)
            assert process.exitcode == -9

            found = await finish(service, ledger, count=8, concurrency=1)

            await asyncio.to_thread(check, service, ledger, found, 8)
            sure = step in {"before intent", "after outcome"}
            assert sum(billed == "maybe" for billed in found.values()) == (0 if sure else 1)
            paid = 7 if step in {"after intent", "as it is sent"} else 8
            assert service.account.paid == paid


@pytest.mark.slow
@pytest.mark.timeout(300 + 3 * KILLS)
async def test_a_batch_killed_at_random_moments_pays_nothing_twice(film, tmp_path):
    """It is killed many times, then run to the end."""
    count, dice = 15 * KILLS, random.Random(7)
    async with LocalService([film], engine=Engine(), limits=None) as service:
        service.faults.add(kind="delay", seconds=0.01, times=None)
        with Ledger(tmp_path / "run.db") as ledger:
            for _ in range(KILLS):
                process, _ = await asyncio.to_thread(start, service, ledger, count=count, rate=100)
                await asyncio.sleep(dice.uniform(0.0, 0.4))
                process.kill()
                await asyncio.to_thread(process.join)

            found = await finish(service, ledger, count=count)

            await asyncio.to_thread(check, service, ledger, found, count)
            await settle_the_rest(service, ledger, found, count)


async def settle_the_rest(service, ledger, found, count) -> None:
    """With `resend` it pays twice at most for the items that it reported as unknown."""
    once = service.account.paid
    unknown = {number for number, billed in found.items() if billed == "maybe"}
    again = await finish(service, ledger, count=count, on_unknown="resend")
    assert set(again.values()) == {None}
    assert service.account.paid == once + len(unknown)
    assert {number for number in range(count) if seen(service, number) > 1} <= unknown


async def test_two_processes_on_one_ledger_send_each_item_once(film, tmp_path):
    """Both report every item; the service sees each once."""
    async with LocalService([film], engine=Engine(), limits=None) as service:
        service.faults.add(kind="delay", seconds=0.005, times=None)
        with Ledger(tmp_path / "run.db") as ledger:
            found = await asyncio.gather(
                *(finish(service, ledger, count=100, concurrency=4) for _ in range(2))
            )

            for each in found:
                await asyncio.to_thread(check, service, ledger, each, 100)


async def test_a_process_takes_over_the_items_that_a_killed_one_had_claimed(film, tmp_path):
    """They are unknown or sent; none blocks the other process."""
    async with LocalService([film], engine=Engine(), limits=None) as service:
        service.faults.add(kind="delay", seconds=0.3, times=2)
        with Ledger(tmp_path / "run.db") as ledger:
            first, _ = await asyncio.to_thread(start, service, ledger, count=20, concurrency=2)
            while len(service.request_log) < 2:  # noqa: ASYNC110  # nothing announces it
                await asyncio.sleep(0.005)
            second = asyncio.create_task(finish(service, ledger, count=20, concurrency=2))
            await asyncio.sleep(0.1)
            first.kill()
            found = await second

            await asyncio.to_thread(check, service, ledger, found, 20)
            assert sum(billed == "maybe" for billed in found.values()) == 2
