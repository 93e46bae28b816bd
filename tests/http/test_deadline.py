"""Time limits over one timer: they end what they limit, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from memories_async._http.deadline import Until


def soon(seconds):
    return asyncio.get_running_loop().time() + seconds


async def test_ends_a_block_whose_time_has_come():
    """A block that waits longer than it may raises TimeoutError."""
    with pytest.raises(TimeoutError), Until(soon(0.01)):
        await asyncio.Event().wait()


async def test_lets_a_block_that_is_quick_be():
    """Nothing happens to a block that ends in time, nor to what follows it."""
    with Until(soon(0.005)):
        await asyncio.sleep(0)

    await asyncio.sleep(0.01)


async def test_no_limit_is_no_limit():
    """None waits for as long as it takes, and moves nowhere."""
    with Until(None) as until:
        until.move(soon(-1))
        await asyncio.sleep(0.005)


async def test_each_block_ends_at_its_own_time():
    """One timer serves limits that come in any order."""
    ended = []

    async def wait(seconds):
        try:
            with Until(soon(seconds)):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (0.03, 0.01, 0.02, -1)))

    assert ended == [-1, 0.01, 0.02, 0.03]


@pytest.mark.parametrize(("first", "second"), [(0.005, 0.05), (0.05, 0.005)])
async def test_a_limit_can_be_moved_both_ways(first, second):
    """What counts is where the limit was moved last."""
    begun = soon(0)

    async def wait():
        with Until(soon(first)) as until:
            until.move(soon(second))
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()

    assert (soon(0) - begun > 0.03) is (second > first)


async def test_a_limit_that_has_passed_cannot_be_moved():
    """Whoever is told that the time is over is not called back."""

    async def wait():
        with Until(soon(0.005)) as until:
            try:
                await asyncio.Event().wait()
            finally:
                until.move(soon(10))

    with pytest.raises(TimeoutError):
        await wait()


async def test_a_cancellation_from_outside_stays_one():
    """Only the limit's own cancellation becomes TimeoutError."""

    async def wait():
        with Until(soon(10)):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_outweighs_the_limit():
    """Who was told to stop, and ran out of time on the way, was told to stop."""

    async def wait():
        with Until(soon(0.005)):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    task = asyncio.create_task(wait())

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_within_a_cancelled_block_still_ends():
    """A cancellation that was dealt with before does not hide the limit's own."""
    task = asyncio.current_task()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)

    with pytest.raises(TimeoutError), Until(soon(0.005)):
        await asyncio.Event().wait()

    assert task.uncancel() == 0


async def test_a_block_that_ends_well_though_late_is_let_be():
    """Whoever catches the cancellation and returns has its way, and can be cancelled again."""
    with Until(soon(0.005)), contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()

    assert asyncio.current_task().cancelling() == 0


async def test_many_limits_set_few_timers(monkeypatch):
    """A limit that is later than the timer sets none of its own."""
    loop, timers = asyncio.get_running_loop(), []
    real = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *given: timers.append(given) or real(*given))

    for _ in range(100):
        with Until(soon(10)) as until:
            until.move(soon(20))

    assert len(timers) == 1


def test_a_closed_loop_is_let_go():
    """Limits keep no loop alive after its end."""

    async def wait():
        with Until(soon(10)):
            return weakref.ref(asyncio.get_running_loop())

    gone = asyncio.run(wait())
    gc.collect()

    assert gone() is None
