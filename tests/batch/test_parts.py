"""The parts of a batch: its channel, its tally, its hook, its sources."""

from __future__ import annotations

import asyncio
import time

import callers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import EMBEDDED, caption_call, embed_call
from servers import answer, serving

from memories_async import Ledger, Limit, Limits, Receiver, captions, videos
from memories_async.batch import _jobs
from memories_async.batch._channel import Channel
from memories_async.batch._jobs import WorkerHook
from memories_async.batch._source import open_source
from memories_async.batch._tally import WINDOW, Tally
from memories_async.batch._values import Outcome
from memories_async.errors import NotSent
from memories_async.ledger._replies import read_data
from memories_async.receiver import MemoryStore


async def test_a_channel_hands_out_items_in_order_and_then_ends():
    """Every item comes out before the empty list."""
    channel = Channel(2)
    channel.add([1, 2, 3])
    assert len(channel) == 3
    assert await channel.take(2) == [1, 2]
    channel.end()

    assert [await channel.take(9), await channel.take(9)] == [[3], []]


async def put(channel, items):
    """Add *items* once there is room for one of them."""
    await channel.wait_for_room()
    channel.add(items)


async def test_a_put_waits_while_the_channel_is_full():
    """Until an item is taken, or until the channel is widened."""
    channel = Channel(1)
    await put(channel, [1])
    putting = [asyncio.create_task(put(channel, [number])) for number in (2, 3)]
    await asyncio.sleep(0)
    assert await channel.take(9) == [1]
    await putting[0]
    assert not putting[1].done()
    channel.widen()
    await putting[1]

    assert channel.take_all() == [2, 3]


async def test_a_cancelled_taker_wakes_the_next_one():
    """An item whose taker was cancelled goes to another taker."""
    channel = Channel(9)
    takers = [asyncio.create_task(channel.take(1)) for _ in range(3)]
    await asyncio.sleep(0)
    takers[0].cancel()
    await asyncio.wait([takers[0]])
    channel.add(["one"])
    takers[1].cancel()
    await asyncio.wait([takers[1]])

    assert await asyncio.wait_for(takers[2], 1) == ["one"]


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_a_channel_loses_no_item(groups, size, takers):
    """Every item is taken once, with any number of takers and any size of groups."""

    async def run():
        channel, taken = Channel(size), []

        async def take():
            while some := await channel.take(2):
                taken.extend(some)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(take()) for _ in range(takers)]
        for at, count in enumerate(groups):
            await put(channel, [(at, one) for one in range(count)])
            assert len(channel) < size + 5
        channel.end()
        await asyncio.gather(*tasks)
        return taken

    taken = asyncio.run(run())
    assert sorted(taken) == [(at, one) for at, count in enumerate(groups) for one in range(count)]


def test_the_rate_covers_the_last_minute():
    """A fast beginning does not count for ever."""
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


def test_the_time_left_is_none_without_outcomes_or_a_total():
    """There is nothing to estimate it from."""
    assert Tally(Limits(), time.monotonic, total=5).progress().seconds_left is None
    assert Tally(Limits(), time.monotonic).progress().seconds_left is None


def test_the_time_left_is_none_before_the_first_request():
    """Answers from the ledger do not show how many of the items left need a request."""
    tally = Tally(Limits(), time.monotonic, total=2)
    tally.count(Outcome(key=1, call=embed_call(), answer=(), replayed=True))
    assert tally.progress().seconds_left is None
    tally.count(Outcome(key=2, call=embed_call(), answer=(), replayed=True))

    assert tally.progress().seconds_left == 0.0


def test_replayed_items_do_not_shorten_the_time_left():
    """Of 400 items 300 are answered by the ledger: the 80 left take 8 s at ten per second."""
    now = [0.0]
    tally = Tally(Limits(embeddings=Limit(10)), lambda: now[0], total=400)
    for number in range(320):
        tally.count(Outcome(key=number, call=embed_call(), answer=(), replayed=number < 300))

    assert tally.progress().seconds_left == pytest.approx(8.0)


def test_the_time_left_follows_the_observed_rate_where_that_is_slower():
    """Calls that take long, or a limiter that slowed down, keep the batch below the limit."""
    now = [0.0]
    tally = Tally(Limits(embeddings=Limit(10)), lambda: now[0], total=100)
    for number in range(20):
        tally.count(Outcome(key=number, call=embed_call(), answer=(), billed="yes"))
        now[0] += 1.0

    assert tally.progress().seconds_left == pytest.approx(80.0, rel=0.1)


def test_the_time_left_follows_the_slowest_of_the_mixed_limits():
    """Shares are of the items that were sent: half of them are captions, at one per second."""
    now = [0.0]
    limits = Limits(embeddings=Limit(100), captions=Limit(1))
    tally = Tally(limits, lambda: now[0], total=104)
    for number, call in enumerate([embed_call(), caption_call()] * 2):
        tally.count(Outcome(key=number, call=call, answer=(), billed="yes"))

    assert tally.progress().seconds_left == pytest.approx(50.0)


async def test_a_worker_that_fails_before_it_sends_counts_no_request():
    """The call may end while it waits for its permit."""
    changes = []
    hook = WorkerHook(changes.append)
    await hook.failed(NotSent("in line"), final=False)

    assert not hook.is_sending
    assert changes == []


async def test_a_plan_counts_free_calls_as_calls(tmp_path):
    """They are sent each time and cost nothing."""
    async with callers.patient_client("http://localhost:9") as client:
        batch = client.batch({1: videos.list()}, ledger=Ledger(tmp_path / "run.db"))
        plan = await batch.plan()

    assert (plan.calls, plan.paid, plan.by_unit) == (1, 0, {})


def test_a_slow_medium_does_not_delay_the_items_before_it(tmp_path, monkeypatch):
    """Items that are hashed are passed on after a while, the rest follows."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    items = [(number, captions.upload_file(film, **asked)) for number in range(3)]
    monkeypatch.setattr(_jobs, "SLICE", 0.0)
    one = callers.patient_client("http://localhost:9")
    with Ledger(tmp_path / "run.db") as ledger:
        prepared = _jobs.prepare_jobs(items, ledger.coordinator, one._settings)

    assert len(prepared) == 1


async def test_a_slow_iterable_does_not_delay_the_items_it_brought():
    """The first items are passed on before the last are read."""

    def slowly():
        for number in range(3):
            time.sleep(0.02)
            yield number, embed_call()

    source = open_source(slowly())
    first = await source.read()
    await source.aclose()

    assert len(first) == 1


async def test_an_asynchronous_iterator_need_not_be_a_generator():
    """An iterator without `aclose` is not closed."""

    class Counting:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    source = open_source(Counting())
    assert await source.read() == []
    await source.aclose()


async def test_an_iterable_that_fails_at_once_raises_its_error(tmp_path):
    """There were no items before the error."""

    def broken():
        raise LookupError("no list")
        yield

    async with callers.patient_client("http://localhost:9") as client:
        with pytest.raises(LookupError, match="no list"):
            async with client.batch(broken()) as batch:
                await anext(batch)


async def test_a_kept_reply_that_this_version_cannot_read_is_reported(tmp_path):
    """It was paid: the call is not sent again, and the body is in the error."""
    with Ledger(tmp_path / "run.db") as ledger:
        async with (
            serving(answer(EMBEDDED)) as server,
            callers.patient_client(server.url) as client,
        ):
            async with client.batch({1: embed_call()}, ledger=ledger) as batch:
                await anext(batch)
            ledger.database.write_now(lambda c: c.execute("UPDATE replies SET body = x'7b'"))
            async with client.batch({1: embed_call()}, ledger=ledger) as batch:
                outcome = await anext(batch)

            assert (outcome.replayed, outcome.error.body, server.requests) == (True, b"{", 1)


async def test_an_exception_inside_a_batch_is_raised(monkeypatch):
    """It ends the iteration and is raised where the batch is left."""

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("memories_async.batch._run.BatchRun._stop_if_hopeless", fail)
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(ExceptionGroup):
            async with client.batch({1: embed_call()}) as batch:
                assert len([one async for one in batch]) == 1


async def test_a_receiver_is_given_the_batchs_ledger(tmp_path):
    """A late callback settles a call of the batch."""

    receiver = Receiver("https://public.example", store=MemoryStore())
    ledger, another = Ledger(tmp_path / "run.db"), Ledger(tmp_path / "another.db")
    async with callers.patient_client("http://localhost:9", receiver=receiver) as client:
        client.batch({}, ledger=ledger)

    with pytest.raises(ValueError, match="another ledger"):
        receiver.attach_ledger(another)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"code": 0}'])
def test_a_reply_without_data_reads_as_none(body):
    """An export leaves the cell empty."""
    assert read_data(body) is None
