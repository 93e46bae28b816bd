"""The worker of a shared store: outages, cancelled calls, blocked loops, forks."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import threading
import time
from math import inf

import pytest
from limiters import bucket, busiest
from stores import until

from memories_async import FileLimiter
from memories_async.limiter import Priority, _store_worker
from memories_async.limiter._bucket_client import BucketClient, Reservation
from memories_async.limiter._rule import QUICK_RETURN, RETURN
from memories_async.limiter._store_worker import StoreWorker, find_worker
from memories_async.limiter._wait_queue import Waiter


async def take(limiter, where, log=None, name=None):
    """Take one permit as the transport does, and note when."""
    async with limiter.permit(where) as permit:
        if (renewal := permit.renew_if_late()) is not None:
            await renewal
        if log is not None:
            log.append((time.monotonic(), name))
        return permit.fault


async def test_permits_come_in_order_and_evenly(limiter):
    """Thirty calls that start together."""
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


async def test_a_permit_is_one_exchange(limiter, store):
    """A slot is given back with the next request."""
    for _ in range(10):
        await take(limiter, bucket(500))

    assert len(store.requests) <= 12


async def test_a_thousand_cancelled_waiters_leave_no_trace(limiter, store):
    """The store grants them no tick, and forgets that they waited."""
    where = bucket(1, per=60)
    await take(limiter, where)
    before = store.states[where.name].permits
    waiters = [asyncio.ensure_future(take(limiter, where)) for _ in range(1000)]
    await until(
        lambda: any(any(lease.tickets) for lease in store.states[where.name].leases.values())
    )
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await until(lambda: store.states[where.name].leases == {})

    assert store.states[where.name].permits == before
    assert limiter._worker._clients[where].queue.size == 0


async def test_a_tick_whose_waiter_was_cancelled_is_given_back(limiter, store):
    """The next call does not wait for it."""
    store.away = 0.05
    where = bucket(1, per=60)
    waiter = asyncio.ensure_future(take(limiter, where))
    await until(lambda: where.name in store.states)
    waiter.cancel()

    await until(lambda: store.states[where.name].gcra.wait(time.monotonic()) == 0.0)
    await asyncio.wait_for(take(limiter, where), 5)


async def test_a_far_store_costs_no_rate(limiter, store):
    """Forty milliseconds away at ten a second: it is asked ahead of time."""
    store.away, log = 0.04, []
    await asyncio.gather(*(take(limiter, bucket(10), log) for _ in range(11)))

    assert busiest([at for at, _ in log]) <= 10
    # Once the way is known, a tick is requested at least as long before it as the store is away.
    asked = [one.early for one in store.requests if any(one.wants) and one.early >= 0.0]
    assert all(early >= 0.04 for early in asked[-3:])


def test_one_slow_exchange_makes_requests_earlier_and_delays_no_tick(limiter):
    """A process that was stopped for a moment must not move the ticks of all others by as much."""
    worker = limiter._worker
    worker._measure(0.002, 0.001)
    worker._measure(0.1, 0.1)
    assert worker._lag == 0.1
    assert worker._way_back <= 0.025
    for _ in range(30):
        worker._measure(0.1, 0.1)
    assert worker._way_back == pytest.approx(0.1, rel=0.01)
    worker._measure(0.002, 0.001)
    assert worker._way_back == 0.001


async def test_slots_are_given_back_at_once_where_they_are_scarce(limiter):
    """Two calls, one slot."""
    where = bucket(500, concurrency=1)
    begun = time.monotonic()
    await asyncio.wait_for(asyncio.gather(take(limiter, where), take(limiter, where)), 5)

    assert time.monotonic() - begun < 1.0


async def test_a_call_asks_a_local_store_itself(limiter, store):
    """Alone it needs no thread; while another process uses the store the thread waits instead."""
    store.is_local, where = True, bucket(1e6)
    begun = threading.active_count()
    for _ in range(3):
        async with limiter.permit(where):
            pass
    assert len(store.requests) == 3
    assert limiter._worker._clients[where].busy == 0

    store.is_in_use = True
    waiter = asyncio.ensure_future(take(limiter, where))
    await asyncio.sleep(0.02)
    store.is_in_use = False
    assert await asyncio.wait_for(waiter, 20) is None or limiter._worker.fault
    assert threading.active_count() <= begun + 1


async def test_a_call_that_ends_soon_does_not_rouse_the_thread(limiter, store):
    """By itself the thread looks again before the store must be told of the call's slot."""
    store.is_local, where, worker = True, bucket(1e6), limiter._worker

    async def looks_in_time():
        async with limiter.permit(where):
            with worker._cond:
                worker._wakes_at = -inf
                worker._cond.notify_all()
            await until(lambda: worker._wakes_at > 0)
            return worker._wakes_at <= worker._clients[where].return_at

    async with asyncio.timeout(20):
        while not await looks_in_time():  # a machine that stood still for a moment
            pass


async def test_a_slot_of_a_busy_bucket_is_told_with_the_next_call_or_soon():
    """At once only where a call of this process waits for it; one in an idle bucket can wait longer."""
    client = BucketClient(bucket(), answered_at=100.0, told_busy=2, busy=1)
    assert client.next_request_at(100.001) == 100 + RETURN

    client.is_contended = True
    assert client.next_request_at(100.001) == 100 + QUICK_RETURN
    waiter = Waiter(asyncio.get_running_loop(), Priority.INTERACTIVE)
    client.told_wants = (0, 1, 0)
    client.queue.join(waiter)
    assert client.next_request_at(100.001) == 100.001


async def test_a_pause_is_told_again_to_a_store_that_lost_it(limiter, store):
    """The account is still paused, whatever the store remembers."""
    where = bucket(100)
    await take(limiter, where)
    await limiter.pause(where, 30.0)
    await until(lambda: store.states[where.name].gcra.wait(time.monotonic()) > 29)
    store.states.clear()
    waiter = asyncio.ensure_future(take(limiter, where))
    await until(lambda: store.states and store.states[where.name].gcra.wait(time.monotonic()) > 20)
    waiter.cancel()

    assert store.states[where.name].gcra.slowness == 2.0


async def test_a_pause_reaches_the_store(limiter, store):
    """Also what was granted already is held back."""
    where = bucket(50)
    await take(limiter, where)
    waiter = asyncio.ensure_future(take(limiter, where))
    await limiter.pause(where, 0.1)
    await asyncio.sleep(0.05)
    assert not waiter.done()
    await asyncio.wait_for(waiter, 5)

    assert store.states[where.name].gcra.slowness == pytest.approx(1.9)


async def test_without_the_store_calls_go_on_slowly_and_say_so(limiter, store, caplog):
    """Sixteen times slower, from the first call on; told once, and when it is over."""
    store.down = "the server is down"
    with caplog.at_level(logging.WARNING, "memories_async"):
        begun = time.monotonic()
        faults = [await take(limiter, bucket(100)) for _ in range(2)]
        slow = time.monotonic() - begun
        store.down, limiter._worker._retry_at = None, 0.0
        fault = await take(limiter, bucket(100))

    assert faults == ["the server is down"] * 2
    assert slow >= 2 * 16 / 100
    assert fault is None
    assert ["cannot be used" in r.message for r in caplog.records] == [True, False]


async def test_a_pause_during_an_outage_is_told_afterwards(limiter, store):
    """The other processes must hear of it."""
    store.down, where = "away", bucket(100)
    await limiter.pause(where, 30.0)
    await asyncio.sleep(0.02)
    store.down, limiter._worker._retry_at = None, 0.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(take(limiter, where), 0.1)

    assert store.states[where.name].gcra.wait(time.monotonic()) > 29


async def test_a_pause_that_is_over_is_told_to_nobody(limiter, store):
    """An outage outlived it."""
    store.down, where = "away", bucket(1000)
    await limiter.pause(where, 0.001)
    await asyncio.sleep(0.05)
    store.down, limiter._worker._retry_at = None, 0.0
    await asyncio.wait_for(take(limiter, where), 5)

    assert all(request.pause is None for request in store.requests)


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


def test_loops_that_end_leave_the_worker_in_order(limiter):
    """Three runs, each with its own loop."""
    for _ in range(3):
        asyncio.run(asyncio.wait_for(take(limiter, bucket(500)), 5))


async def test_the_idle_thread_ends(limiter, monkeypatch):
    """No thread is left when there is nothing to say; the next call starts another."""
    monkeypatch.setattr(_store_worker, "LINGER", 0.01)
    limiter._worker._clients.clear()
    await take(limiter, bucket(500))
    thread = limiter._worker._thread
    await asyncio.to_thread(thread.join, 5)
    await asyncio.wait_for(take(limiter, bucket(500)), 5)

    assert limiter._worker._thread is not thread


def test_the_end_of_the_process_gives_slots_back(tmp_path):
    """A short program that leaves its permit open: the next one finds the only slot free."""
    where, limiter = bucket(500, concurrency=1), FileLimiter(tmp_path / "limiter")
    child = os.fork()
    if child == 0:
        asyncio.run(limiter.permit(where).__aenter__())
        _store_worker._workers.call(StoreWorker.close)
        os._exit(0)
    os.waitpid(child, 0)
    begun = time.monotonic()
    asyncio.run(asyncio.wait_for(take(limiter, where), 10))

    assert time.monotonic() - begun < 1.0


def test_a_forked_child_speaks_for_itself(tmp_path):
    """Its parent's permits are not its own, nor is its parent's name."""
    limiter = FileLimiter(tmp_path / "limiter")
    asyncio.run(take(limiter, bucket(500)))
    names = [limiter._worker._member]
    child = os.fork()
    if child == 0:
        asyncio.run(asyncio.wait_for(take(limiter, bucket(500)), 5))
        os._exit(limiter._worker._member in names)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_equal_stores_have_one_worker(tmp_path):
    """However many clients name the file."""
    limiters = [FileLimiter(tmp_path / "limiter") for _ in range(3)]

    assert len({limiter._worker for limiter in limiters}) == 1
    assert find_worker(limiters[0]._worker.store) is limiters[0]._worker
    assert pickle.loads(pickle.dumps(limiters[0])).path == limiters[0].path


async def test_the_worker_begins_anew_in_a_child_and_gives_back_at_the_end(limiter, store):
    """The same two steps, without a fork."""
    where = bucket(500)
    await limiter.permit(where).__aenter__()
    limiter._worker.close()
    assert store.states[where.name].leases == {}

    name = limiter._worker._member
    limiter._worker.forget()
    assert limiter._worker._member != name
    await asyncio.wait_for(take(limiter, where), 5)


def test_an_outage_at_the_end_of_the_process_is_not_logged(limiter, store, caplog):
    """The process does not wait for the store either."""
    asyncio.run(limiter.permit(bucket(500)).__aenter__())
    store.down = "gone"
    limiter._worker.close()

    assert caplog.records == []


async def test_waking_a_waiter_of_a_closed_loop_does_no_harm():
    """It may be closed just then."""
    loop = asyncio.new_event_loop()
    waiter = Waiter(loop, Priority.INTERACTIVE)
    loop.close()
    waiter.wake(1.0)

    assert not waiter.is_responsive(1.0)


async def test_every_worker_is_told_of_a_fork_and_of_the_end(limiter, store, monkeypatch):
    """What the interpreter calls, called by hand."""
    monkeypatch.setattr(_store_worker._workers, "_alive", {limiter._worker})
    name = limiter._worker._member
    await take(limiter, bucket(500))
    _store_worker._workers.call(StoreWorker.close)
    assert store.states[bucket().name].leases == {}

    _store_worker._workers.call(StoreWorker.forget)
    assert limiter._worker._member != name


def test_a_bucket_with_a_reservation_asks_for_no_other():
    """A second one would take the place of the first."""
    client = BucketClient(bucket())
    client.reservation = Reservation(number=1, tick=0.0)

    assert client.build_request("a", 0.0, lead=0.05, ready_in=0.0).early < 0
