"""The default limiter: one process, any number of loops and threads."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time

import pytest
from limiters import bucket, busiest

from memories_async import InProcessLimiter
from memories_async.limiter._in_process import in_process
from memories_async.limiter._limits import Priority


async def take(limiter, where, log=None, name=None):
    """Have one permit, and note it."""
    async with limiter.permit(where) as permit:
        permit.renew_if_late()
        if log is not None:
            log.append((time.monotonic(), name))


async def test_turns_come_evenly_and_in_order():
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

    # The first one found nobody in line.
    assert order == ["batch", *["call"] * 4, "batch", *["call"] * 4, *["batch"] * 4]


async def test_a_thousand_cancelled_waiters_cost_nothing():
    """Whoever comes after them has the very next permit."""
    limiter, where = InProcessLimiter(), bucket(1)
    await take(limiter, where)
    spacing = limiter._queues[where].spacing
    waiters = [asyncio.ensure_future(take(limiter, where)) for _ in range(1000)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    state = limiter.describe().buckets[0]

    assert (state.waiting, state.busy) == (0, 0)
    assert limiter._queues[where].spacing == spacing


async def test_no_more_calls_at_work_than_slots():
    """The third begins when one of two has ended."""
    limiter, where = InProcessLimiter(), bucket(1000, concurrency=2)
    first, second = limiter.permit(where), limiter.permit(where)
    await first.__aenter__()
    await second.__aenter__()
    third = asyncio.ensure_future(take(limiter, where))
    await asyncio.sleep(0.02)
    assert not third.done()
    await first.__aexit__(None, None, None)
    await asyncio.wait_for(third, 5)


async def test_a_call_that_connects_slowly_holds_the_next_one_back():
    """The gap is kept where the service sees it."""
    now = [100.0]
    limiter, where = InProcessLimiter(clock=lambda: now[0]), bucket(1)
    async with limiter.permit(where) as permit:
        now[0] += 0.4
        permit.renew_if_late()
        permit.renew_if_late()

    assert limiter.describe().buckets[0].wait == pytest.approx(where.limit.gap - where.limit.slack)


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


def test_a_loop_that_stopped_in_line_holds_nobody_up():
    """Its waiters are passed over, and served when it runs again."""
    limiter, where = InProcessLimiter(), bucket(100)
    stopped = asyncio.new_event_loop()
    waiters = [stopped.create_task(take(limiter, where)) for _ in range(3)]
    stopped.run_until_complete(asyncio.sleep(0))

    asyncio.run(asyncio.wait_for(take(limiter, where), 5))

    stopped.run_until_complete(asyncio.wait_for(asyncio.gather(*waiters), 10))
    stopped.close()


def test_a_loop_that_was_closed_in_line_holds_nobody_up():
    """Nor does waking its waiters raise."""
    limiter, where = InProcessLimiter(), bucket(100)
    gone = asyncio.new_event_loop()
    task = gone.create_task(_take_two(limiter, where))
    gone.run_until_complete(asyncio.sleep(0))
    waiter = limiter._queues[where].line.first(time.monotonic())
    gone.close()
    assert waiter is None

    asyncio.run(asyncio.wait_for(_take_two(limiter, where), 5))
    assert not task.done()
    task._log_destroy_pending = False


async def _take_two(limiter, where):
    async with limiter.permit(where):
        await take(limiter, where)


def test_a_forked_child_starts_with_no_turns_of_its_parent():
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


async def test_calls_that_take_long_are_at_work_together():
    """Whoever has a permit wakes the next in line at once, not when the call has ended."""
    limiter, all_begun = InProcessLimiter(), asyncio.Barrier(4)

    async def long_call():
        async with limiter.permit(bucket(200)):
            await all_begun.wait()

    async with asyncio.timeout(2):
        await asyncio.gather(*(long_call() for _ in range(4)))
