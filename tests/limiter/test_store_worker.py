"""The one who speaks with a store for this process: outages, cancelled calls, blocked loops, forks."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import threading
import time

import pytest
from attrs import define, field
from limiters import bucket, busiest

from memories_async import FileLimiter
from memories_async.limiter import _store_worker
from memories_async.limiter._bucket_client import Desk, Grant
from memories_async.limiter._limits import Priority
from memories_async.limiter._rule import BucketState, hear
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreDown
from memories_async.limiter._store_worker import Clerk, clerk_of
from memories_async.limiter._wait_queue import Waiter


@define(eq=False)
class Memory:
    """A store in this process, which can go down, or be far away."""

    down: str | None = None
    away: float = 0.0
    states: dict = field(factory=dict)
    words: list = field(factory=list)

    def exchange(self, where, word):
        if self.down is not None:
            raise StoreDown(self.down)
        time.sleep(self.away / 2)
        now = time.monotonic()
        self.words.append(word)
        state = self.states.get(where.name, BucketState(seen=now))
        self.states[where.name], answer = hear(state, word, where.limit, now)
        time.sleep(self.away / 2)
        return answer

    def look(self):
        return time.monotonic(), self.states

    def forget(self):
        self.words.clear()


class RateLimiter(SharedLimiter):
    """A shared limiter over that store."""

    def __init__(self, store):
        self._account, self._clerk = None, Clerk(store)


@pytest.fixture
def store():
    return Memory()


@pytest.fixture
def limiter(store):
    return RateLimiter(store)


async def take(limiter, where, log=None, name=None):
    """Have one permit, and note it."""
    async with limiter.permit(where) as permit:
        permit.renew_if_late()
        permit.renew_if_late()
        if log is not None:
            log.append((time.monotonic(), name))
        return permit.fault


async def test_turns_come_in_order_and_evenly(limiter):
    """Thirty at once."""
    log = []
    await asyncio.gather(*(take(limiter, bucket(200), log, n) for n in range(30)))

    assert [name for _, name in log] == [*range(30)]
    assert log[-1][0] - log[0][0] >= 28 / 200


async def test_interactive_calls_go_ahead_of_batches(limiter):
    """But for every fifth permit."""
    log, batch = [], bucket(200, priority=Priority.BATCH)
    calls = [take(limiter, batch, log, "batch") for _ in range(6)]
    calls += [take(limiter, bucket(200), log, "call") for _ in range(8)]
    await asyncio.gather(*calls)
    names = [name for _, name in log]

    assert names.index("call") <= 1
    assert names[:11].count("batch") in {2, 3}


async def test_a_turn_is_one_round_trip(limiter, store):
    """A slot's return rides with the next word."""
    for _ in range(10):
        await take(limiter, bucket(500))

    assert len(store.words) <= 12


async def test_a_thousand_cancelled_waiters_leave_no_trace(limiter, store):
    """Neither here nor in the store: the next call has the next permit."""
    where = bucket(2)
    await take(limiter, where)
    permits = store.states[where.name].permits
    waiters = [asyncio.ensure_future(take(limiter, where)) for _ in range(1000)]
    await asyncio.sleep(0.02)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await asyncio.sleep(0.02)

    assert store.states[where.name].permits == permits
    assert store.states[where.name].members == {}


async def test_a_turn_whose_waiter_was_cancelled_is_given_back(limiter, store):
    """The store gave it, nobody took it: it is not charged."""
    store.away = 0.05
    where = bucket(1, per=60)
    waiter = asyncio.ensure_future(take(limiter, where))
    await asyncio.sleep(0.03)
    waiter.cancel()
    await asyncio.sleep(0.2)

    assert store.states[where.name].spacing.wait(time.monotonic()) == 0.0
    await asyncio.wait_for(take(limiter, where), 5)


async def test_a_far_store_costs_no_rate(limiter, store):
    """Forty milliseconds away at ten a second: it is asked ahead of time."""
    store.away, log = 0.04, []
    await asyncio.gather(*(take(limiter, bucket(10), log) for _ in range(11)))

    assert busiest([at for at, _ in log]) <= 10
    assert log[-1][0] - log[1][0] <= 9 / 9.2


async def test_slots_are_given_back_at_once_where_they_are_scarce(limiter):
    """Two calls, one slot."""
    where = bucket(500, concurrency=1)
    begun = time.monotonic()
    await asyncio.wait_for(asyncio.gather(take(limiter, where), take(limiter, where)), 5)

    assert time.monotonic() - begun < 1.0


async def test_a_call_that_leaves_late_holds_the_next_one_back(limiter, store):
    """Everywhere: the store hears of it."""
    where = bucket(1)
    async with limiter.permit(where) as permit:
        begun = time.monotonic()
        await asyncio.sleep(0.1)
        permit.renew_if_late()
        permit.renew_if_late()
    await asyncio.sleep(0.02)

    assert 0.05 < store.states[where.name].spacing.next_at - begun - where.limit.gap < 0.15


async def test_a_pause_reaches_the_store(limiter, store):
    """Also what was granted already is held back."""
    where = bucket(50)
    await take(limiter, where)
    waiter = asyncio.ensure_future(take(limiter, where))
    await limiter.pause(where, 0.1)
    await asyncio.sleep(0.05)
    assert not waiter.done()
    await asyncio.wait_for(waiter, 5)

    assert store.states[where.name].spacing.slowness == pytest.approx(1.9)


async def test_without_the_store_calls_go_on_slowly_and_say_so(limiter, store, caplog):
    """Sixteen times slower, from the first call on; told once, and when it is over."""
    store.down = "gone fishing"
    with caplog.at_level(logging.WARNING, "memories_async"):
        begun = time.monotonic()
        faults = [await take(limiter, bucket(100)) for _ in range(2)]
        slow = time.monotonic() - begun
        store.down, limiter._clerk._retry_at = None, 0.0
        fault = await take(limiter, bucket(100))

    assert faults == ["gone fishing"] * 2
    assert slow >= 2 * 16 / 100
    assert fault is None
    assert ["out of reach" in r.message for r in caplog.records] == [True, False]


async def test_a_pause_during_an_outage_is_told_afterwards(limiter, store):
    """The other processes must hear of it."""
    store.down, where = "away", bucket(100)
    await limiter.pause(where, 30.0)
    await asyncio.sleep(0.02)
    store.down, limiter._clerk._retry_at = None, 0.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(take(limiter, where), 0.1)

    assert store.states[where.name].spacing.wait(time.monotonic()) > 29


async def test_a_pause_that_is_over_is_told_to_nobody(limiter, store):
    """An outage outlived it."""
    store.down, where = "away", bucket(1000)
    await limiter.pause(where, 0.001)
    await asyncio.sleep(0.05)
    store.down, limiter._clerk._retry_at = None, 0.0
    await asyncio.wait_for(take(limiter, where), 5)

    assert all(word.pause is None for word in store.words)


async def test_a_pause_while_the_store_grants_holds_the_grant(limiter, store):
    """The permit is handed back."""
    store.away, where = 0.1, bucket(100)
    waiter = asyncio.ensure_future(take(limiter, where))
    await asyncio.sleep(0.05)
    await limiter.pause(where, 0.4)
    await asyncio.sleep(0.2)
    assert not waiter.done()
    await asyncio.wait_for(waiter, 5)


def test_a_blocked_loop_holds_no_other_loop_up(limiter):
    """Its permit passes to a waiter of another loop."""
    where, log = bucket(50), []
    started = threading.Event()

    async def blocked():
        waiters = [asyncio.ensure_future(take(limiter, where, log, "blocked")) for _ in range(2)]
        await asyncio.sleep(0.001)
        started.set()
        time.sleep(1.2)  # noqa: ASYNC251  # it is what the test is about
        await asyncio.gather(*waiters)

    thread = threading.Thread(target=asyncio.run, args=(blocked(),))
    thread.start()
    started.wait()
    begun = time.monotonic()
    asyncio.run(asyncio.wait_for(take(limiter, where, log, "other"), 5))
    waited = time.monotonic() - begun
    thread.join()

    assert waited < 1.0
    assert len(log) == 3


def test_loops_that_end_leave_the_clerk_in_order(limiter):
    """Three runs, each with its own loop."""
    for _ in range(3):
        asyncio.run(asyncio.wait_for(take(limiter, bucket(500)), 5))


async def test_the_idle_clerk_goes_home(limiter, monkeypatch):
    """No thread is left when there is nothing to say; the next call starts another."""
    monkeypatch.setattr(_store_worker, "LINGER", 0.01)
    limiter._clerk._desks.clear()
    await take(limiter, bucket(500))
    thread = limiter._clerk._thread
    await asyncio.to_thread(thread.join, 5)
    await asyncio.wait_for(take(limiter, bucket(500)), 5)

    assert limiter._clerk._thread is not thread


def test_the_end_of_the_process_gives_slots_back(tmp_path):
    """A short program that leaves its permit open: the next one finds the only slot free."""
    where, limiter = bucket(500, concurrency=1), FileLimiter(tmp_path / "limiter")
    child = os.fork()
    if child == 0:
        asyncio.run(limiter.permit(where).__aenter__())
        _store_worker._farewell_all()
        os._exit(0)
    os.waitpid(child, 0)
    begun = time.monotonic()
    asyncio.run(asyncio.wait_for(take(limiter, where), 10))

    assert time.monotonic() - begun < 1.0


def test_a_forked_child_speaks_for_itself(tmp_path):
    """Its parent's permits are not its own, nor is its parent's name."""
    limiter = FileLimiter(tmp_path / "limiter")
    asyncio.run(take(limiter, bucket(500)))
    names = [limiter._clerk._member]
    child = os.fork()
    if child == 0:
        asyncio.run(asyncio.wait_for(take(limiter, bucket(500)), 5))
        os._exit(limiter._clerk._member in names)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_equal_stores_have_one_clerk(tmp_path):
    """However many clients name the file."""
    limiters = [FileLimiter(tmp_path / "limiter") for _ in range(3)]

    assert len({limiter._clerk for limiter in limiters}) == 1
    assert clerk_of(limiters[0]._clerk.store) is limiters[0]._clerk
    assert pickle.loads(pickle.dumps(limiters[0])).path == limiters[0].path


async def test_the_clerk_begins_anew_in_a_child_and_says_farewell_at_the_end(limiter, store):
    """The same two steps, without a fork."""
    where = bucket(500)
    await limiter.permit(where).__aenter__()
    limiter._clerk.farewell()
    assert store.states[where.name].members == {}

    name = limiter._clerk._member
    limiter._clerk.forget()
    assert limiter._clerk._member != name
    await asyncio.wait_for(take(limiter, where), 5)


def test_an_outage_at_the_end_of_the_process_is_nobodys_concern(limiter, store, caplog):
    """Nothing is said, and nothing waits long."""
    asyncio.run(limiter.permit(bucket(500)).__aenter__())
    store.down = "gone"
    limiter._clerk.farewell()

    assert caplog.records == []


async def test_waking_a_waiter_of_a_closed_loop_does_no_harm():
    """It may be closed just then."""
    loop = asyncio.new_event_loop()
    waiter = Waiter(loop, Priority.INTERACTIVE)
    loop.close()
    waiter.wake(1.0)

    assert not waiter.is_there(1.0)


async def test_every_clerk_is_told_of_a_fork_and_of_the_end(limiter, store, monkeypatch):
    """What the interpreter calls, called by hand."""
    monkeypatch.setattr(_store_worker, "_clerks", [limiter._clerk])
    name = limiter._clerk._member
    await take(limiter, bucket(500))
    _store_worker._farewell_all()
    assert store.states[bucket().name].members == {}

    _store_worker._forget_all()
    assert limiter._clerk._member != name


def test_a_desk_with_a_grant_asks_for_no_other():
    """A second one would take the place of the first."""
    desk = Desk(bucket())
    desk.grant = Grant(number=1, start=0.0, fault=None)

    assert desk.word("a", 0.0, 0.05).early < 0
