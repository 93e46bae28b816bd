"""The parts of a batch alone: its bounded line, its sums, its hook, what it reads from."""

from __future__ import annotations

import asyncio
import time

import callers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import EMBEDDED, embed_call
from servers import answer, serving

from memories_async import Ledger, Limits, captions, videos
from memories_async.batch import _jobs
from memories_async.batch._channel import Pipe
from memories_async.batch._run import WorkerHook
from memories_async.batch._source import source_of
from memories_async.batch._tally import WINDOW, Tally
from memories_async.batch._values import Outcome
from memories_async.errors import NotSent
from memories_async.ledger._replies import data_of


async def test_a_pipe_hands_out_in_order_and_ends():
    """Everything that was put comes out before the end does."""
    pipe = Pipe(2)
    pipe.add([1, 2, 3])
    assert len(pipe) == 3
    assert await pipe.take(2) == [1, 2]
    pipe.end()

    assert [await pipe.take(9), await pipe.take(9)] == [[3], []]


async def test_a_full_pipe_holds_up_whoever_puts():
    """Until somebody takes; or until it is told not to."""
    pipe = Pipe(1)
    await pipe.put([1])
    putting = [asyncio.create_task(pipe.put([number])) for number in (2, 3)]
    await asyncio.sleep(0)
    assert await pipe.take(9) == [1]
    await putting[0]
    assert not putting[1].done()
    pipe.widen()
    await putting[1]

    assert pipe.drained() == [2, 3]


async def test_a_cancelled_taker_passes_its_turn_on():
    """An item that woke somebody who went away is not forgotten."""
    pipe = Pipe(9)
    takers = [asyncio.create_task(pipe.take(1)) for _ in range(3)]
    await asyncio.sleep(0)
    takers[0].cancel()
    await asyncio.wait([takers[0]])
    pipe.add(["one"])
    takers[1].cancel()
    await asyncio.wait([takers[1]])

    assert await asyncio.wait_for(takers[2], 1) == ["one"]


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_nothing_is_lost_in_a_pipe(groups, size, takers):
    """Whatever is put, in whatever portions, is taken once, by however many."""

    async def run():
        pipe, taken = Pipe(size), []

        async def take():
            while some := await pipe.take(2):
                taken.extend(some)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(take()) for _ in range(takers)]
        for at, count in enumerate(groups):
            await pipe.put([(at, one) for one in range(count)])
            assert len(pipe) < size + 5
        pipe.end()
        await asyncio.gather(*tasks)
        return taken

    taken = asyncio.run(run())
    assert sorted(taken) == [(at, one) for at, count in enumerate(groups) for one in range(count)]


def test_the_rate_is_of_the_last_minute():
    """A fast beginning is forgotten."""
    now = [0.0]
    tally = Tally(Limits(), lambda: now[0], total=1000)
    outcome = Outcome(key=1, call=embed_call(), answer=(), billed="yes")
    for _ in range(100):
        tally.count(outcome)
    for _ in range(3 * int(WINDOW)):
        now[0] += 1.0
        tally.count(outcome)

    assert tally.progress().rate == pytest.approx(1.0, abs=0.05)
    assert tally.progress().seconds_left == 1000 - 280


def test_nothing_is_reckoned_from_nothing():
    """Before the first outcome, and without a total."""
    assert Tally(Limits(), time.monotonic, total=5).progress().seconds_left is None
    assert Tally(Limits(), time.monotonic).progress().seconds_left is None


def test_a_batch_that_only_replays_has_no_time_left():
    """What comes from the ledger waits for no limit."""
    tally = Tally(Limits(), time.monotonic, total=2)
    tally.count(Outcome(key=1, call=embed_call(), answer=(), replayed=True))

    assert tally.progress().seconds_left == 0.0


async def test_a_worker_that_fails_before_it_sends_counts_no_request():
    """The call may end while it waits for its permit."""
    async with callers.client("http://localhost:9") as client:
        batch = client.batch({1: embed_call()})
        async with batch:
            assert batch._run is not None
            task = asyncio.current_task()
            assert task is not None
            hook = WorkerHook(batch._run, task)
            await hook.failed(NotSent("in line"), final=False)

            assert not hook.is_sending
            assert batch.progress.in_flight == 0


async def test_a_plan_counts_free_calls_as_calls(tmp_path):
    """They are sent each time, and cost nothing."""
    async with callers.client("http://localhost:9") as client:
        batch = client.batch({1: videos.list()}, ledger=Ledger(tmp_path / "run.db"))
        plan = await batch.plan()

    assert (plan.calls, plan.paid, plan.by_unit) == (1, 0, {})


def test_a_slow_medium_does_not_hold_up_the_ready(tmp_path, monkeypatch):
    """What is hashed goes on its way after a while, the rest follows."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    items = [(number, captions.upload_file(film, **asked)) for number in range(3)]
    monkeypatch.setattr(_jobs, "SLICE", 0.0)
    settings = callers.client("http://localhost:9")._settings
    with Ledger(tmp_path / "run.db") as ledger:
        assert len(_jobs.prepared(items, ledger.desk, settings)) == 1


async def test_a_slow_iterable_does_not_hold_up_what_it_brought():
    """The first items come before the last are read."""

    def slowly():
        for number in range(3):
            time.sleep(0.02)
            yield number, embed_call()

    source = source_of(slowly())
    first = await source.some()
    await source.aclose()

    assert len(first) == 1


async def test_an_asynchronous_iterator_need_not_be_a_generator():
    """One without `aclose` is simply left."""

    class Counting:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    source = source_of(Counting())
    assert await source.some() == []
    await source.aclose()


async def test_an_iterable_that_fails_at_once_is_told(tmp_path):
    """Nothing came before."""

    def broken():
        raise LookupError("no list")
        yield

    async with callers.client("http://localhost:9") as client:
        with pytest.raises(LookupError, match="no list"):
            async with client.batch(broken()) as batch:
                await anext(batch)


async def test_a_kept_reply_that_this_version_cannot_read_is_reported(tmp_path):
    """It was paid: it is not sent again, and its body is in the error."""
    with Ledger(tmp_path / "run.db") as ledger:
        async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
            async with client.batch({1: embed_call()}, ledger=ledger) as batch:
                await anext(batch)
            ledger.database.write_now(lambda c: c.execute("UPDATE replies SET body = x'7b'"))
            async with client.batch({1: embed_call()}, ledger=ledger) as batch:
                outcome = await anext(batch)

            assert (outcome.replayed, outcome.error.body, server.requests) == (True, b"{", 1)


async def test_a_bug_in_a_batch_is_not_swallowed(monkeypatch):
    """It ends the stream, and comes out where the batch is left."""

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("memories_async.batch._run.Run._heed", fail)
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        with pytest.raises(ExceptionGroup):
            async with client.batch({1: embed_call()}) as batch:
                assert len([one async for one in batch]) == 1


async def test_a_receiver_hears_of_the_batchs_ledger(tmp_path):
    """A late callback settles what the batch lost."""

    class Receiver:
        told = None

        def beside(self, ledger):
            self.told = ledger

    receiver = Receiver()
    async with callers.client("http://localhost:9", receiver=receiver) as client:
        ledger = Ledger(tmp_path / "run.db")
        client.batch({}, ledger=ledger)

    assert receiver.told is ledger


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"code": 0}'])
def test_a_reply_without_data_has_none(body):
    """An export leaves the cell empty."""
    assert data_of(body) is None
