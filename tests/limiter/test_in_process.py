"""The limiter of one process, with any number of event loops and threads."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from itertools import pairwise

import pytest
from limiters import bucket, busiest

from memories_async import Client, InProcessLimiter
from memories_async.limiter import Priority, in_process


async def take(limiter, where, log=None, name=None):
    """Take one permit as the transport does, and note when."""
    async with limiter.permit(where) as permit:
        renewal = permit.renew_if_late()
        if renewal is not None:
            await renewal
        if log is not None:
            log.append((time.monotonic(), name))


async def test_permits_come_evenly_and_in_order():
    """Twenty at once at two hundred a second."""
    limiter, log = InProcessLimiter(), []
    await asyncio.gather(*(take(limiter, bucket(200), log, n) for n in range(20)))

    assert [name for _, name in log] == [*range(20)]
    assert log[-1][0] - log[0][0] >= 18 / 200


async def test_interactive_calls_go_ahead_of_batches():
    """But for every fifth permit."""
    limiter, log = InProcessLimiter(), []
    batch = bucket(500, priority=Priority.BATCH)
    waiters = [take(limiter, batch, log, "batch") for _ in range(6)]
    waiters += [take(limiter, bucket(500), log, "call") for _ in range(8)]
    await asyncio.gather(*waiters)
    order = [name for _, name in log]

    # The first one found nobody waiting.
    assert order == ["batch", *["call"] * 4, "batch", *["call"] * 4, *["batch"] * 4]


async def test_a_thousand_cancelled_waiters_cost_nothing():
    """The call that comes after them has the very next tick."""
    limiter, where = InProcessLimiter(clock=lambda: 100.0), bucket(1)
    await take(limiter, where)
    gcra = limiter._buckets[where].gcra
    waiters = [asyncio.ensure_future(take(limiter, where)) for _ in range(1000)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    state = limiter.describe().buckets[0]

    assert (state.waiting, state.busy) == (0, 0)
    assert limiter._buckets[where].gcra == gcra


async def test_no_more_calls_at_work_than_slots():
    """The third begins when one of two has ended."""
    limiter, where = InProcessLimiter(), bucket(1000, concurrency=2)
    async with limiter.permit(where):
        async with limiter.permit(where):
            third = asyncio.ensure_future(take(limiter, where))
            await asyncio.sleep(0.02)
            assert not third.done()
        await asyncio.wait_for(third, 5)


async def test_a_lone_request_that_is_late_waits_for_nothing():
    """Its tick is moved to now, so that the next request keeps a whole gap to it."""
    now = [100.0]
    limiter, where = InProcessLimiter(clock=lambda: now[0]), bucket(1)
    async with limiter.permit(where) as permit:
        assert permit.renew_if_late() is None
        now[0] += 0.4
        await asyncio.wait_for(permit.renew_if_late(), 5)
        assert permit.renew_if_late() is None

    assert limiter.describe().buckets[0].wait == pytest.approx(where.limit.gap)


async def test_a_request_within_an_ample_limit_needs_no_second_tick():
    """While a ledger commits its intent, say; after a whole window it does."""
    now = [100.0]
    limiter, where = InProcessLimiter(clock=lambda: now[0]), bucket(100, concurrency=1)
    async with limiter.permit(where) as permit:
        now[0] += 0.9
        assert permit.renew_if_late() is None
        now[0] += 0.2
        await asyncio.wait_for(permit.renew_if_late(), 5)


async def test_requests_that_are_late_together_are_sent_a_gap_apart():
    """Four were held up by one slow DNS answer: each is sent at a tick of its own, in order."""
    now = [100.0]
    limiter, where, sent = InProcessLimiter(clock=lambda: now[0]), bucket(1), []
    answered = asyncio.Event()

    async def call(name):
        async with limiter.permit(where) as permit:
            await answered.wait()
            if (renewal := permit.renew_if_late()) is not None:
                await renewal
            sent.append((now[0], name))

    calls = [asyncio.ensure_future(call(name)) for name in range(6)]
    await asyncio.sleep(0)
    for _ in range(400):
        # A twentieth of a second for each step, in which every waiter looks.
        now[0] += 0.05
        if now[0] > 103.5:
            answered.set()
        limiter._buckets[where].wake_first()
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*calls), 5)
    gaps = [b - a for (a, _), (b, _) in pairwise(sent)]

    assert [name for _, name in sent] == [0, 1, 2, 3, 4, 5]
    assert min(gaps) >= where.limit.interval
    assert max(gaps) <= 2 * where.limit.gap


async def test_a_late_request_keeps_its_slot_while_it_waits():
    """With one slot, and another call in the queue, nothing stands still."""
    now = [100.0]
    limiter, where = InProcessLimiter(clock=lambda: now[0]), bucket(1000, concurrency=1)
    async with limiter.permit(where) as permit:
        waiting = asyncio.ensure_future(take(limiter, where))
        await asyncio.sleep(0)
        now[0] += 3.0
        await asyncio.wait_for(permit.renew_if_late(), 5)
        assert limiter.describe().buckets[0].busy == 1
        now[0] += 1.0
    await asyncio.wait_for(waiting, 5)


async def test_a_pause_holds_everybody():
    """The bucket goes at half its rate afterwards."""
    limiter, where = InProcessLimiter(), bucket(100)
    await limiter.pause(where, 0.05)
    begun = time.monotonic()
    await take(limiter, where)

    assert time.monotonic() - begun >= 0.04
    assert limiter.describe().buckets[0].slowness == pytest.approx(1.9)


def test_loops_in_threads_share_the_rate():
    """Four loops, one bucket: no window above the rate, everybody served."""
    limiter, log = InProcessLimiter(), []

    def loop(name):
        async def work():
            await asyncio.gather(
                *(take(limiter, bucket(100, per=0.5), log, name) for _ in range(20))
            )

        asyncio.run(work())

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(log) == 80
    assert busiest([at for at, _ in log], per=0.5) <= 100


def test_a_loop_that_stopped_while_waiting_holds_nobody_up():
    """Its waiters are passed over, and served when it runs again."""
    limiter, where = InProcessLimiter(), bucket(100)
    stopped = asyncio.new_event_loop()
    waiters = [stopped.create_task(take(limiter, where)) for _ in range(3)]
    stopped.run_until_complete(asyncio.sleep(0))

    asyncio.run(asyncio.wait_for(take(limiter, where), 5))

    stopped.run_until_complete(asyncio.wait_for(asyncio.gather(*waiters), 10))
    stopped.close()


def test_a_loop_that_was_closed_while_waiting_holds_nobody_up():
    """Nor does waking its waiters raise."""
    limiter, where = InProcessLimiter(), bucket(100)
    gone = asyncio.new_event_loop()
    task = gone.create_task(_take_two(limiter, where))
    gone.run_until_complete(asyncio.sleep(0))
    waiter = limiter._buckets[where].queue.first(time.monotonic())
    gone.close()
    assert waiter is None

    asyncio.run(asyncio.wait_for(_take_two(limiter, where), 5))
    assert not task.done()
    task._log_destroy_pending = False


async def _take_two(limiter, where):
    async with limiter.permit(where):
        await take(limiter, where)


def test_a_forked_child_holds_no_permits_of_its_parent():
    """The default limiter forgets in the child, and only there."""
    where = bucket(1, family="captions")
    asyncio.run(take(in_process, where))
    child = os.fork()
    if child == 0:
        os._exit(len(in_process.describe().buckets))
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(in_process.describe().buckets) >= 1
    finally:
        in_process.forget()


def test_the_limiter_pickles_as_configuration():
    """The default stays the default; another one is a new one."""
    own = InProcessLimiter()

    assert pickle.loads(pickle.dumps(in_process)) is in_process
    assert isinstance(pickle.loads(pickle.dumps(own)), InProcessLimiter)
    assert own.describe().store == "process"


@pytest.mark.parametrize("limiter", [in_process, InProcessLimiter()])
def test_a_limiter_that_is_unpickled_in_another_process_warns(limiter, monkeypatch):
    """Each process would keep the whole rate by itself."""
    pickled = pickle.dumps(Client(api_key="k", limiter=limiter))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.warns(RuntimeWarning, match="FileLimiter"):
        pickle.loads(pickled)


async def test_calls_that_take_long_are_at_work_together():
    """A call that has its permit wakes the next waiter at once, not when it ends."""
    limiter, all_begun = InProcessLimiter(), asyncio.Barrier(4)

    async def long_call():
        async with limiter.permit(bucket(200)):
            await all_begun.wait()

    async with asyncio.timeout(2):
        await asyncio.gather(*(long_call() for _ in range(4)))
