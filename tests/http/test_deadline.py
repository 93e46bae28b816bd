"""Deadlines that share one timer end their own block, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

import pytest

from memories_async._http.attempt import Deadline


def soon(seconds):
    return asyncio.get_running_loop().time() + seconds


async def test_a_block_that_runs_too_long_raises_timeout_error():
    """The block is cancelled at its deadline."""
    with pytest.raises(TimeoutError), Deadline(soon(0.01)):
        await asyncio.Event().wait()


async def test_a_block_that_ends_in_time_is_not_cancelled():
    """Nor is what follows it."""
    with Deadline(soon(0.005)):
        await asyncio.sleep(0)

    await asyncio.sleep(0.01)


async def test_a_deadline_of_none_never_ends_a_block():
    """Rescheduling it changes nothing."""
    with Deadline(None) as deadline:
        deadline.reschedule(soon(-1))
        await asyncio.sleep(0.005)


async def test_blocks_end_in_the_order_of_their_deadlines():
    """One timer serves deadlines that are set in any order."""
    ended = []

    async def wait(seconds):
        try:
            with Deadline(soon(seconds)):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (0.03, 0.01, 0.02, -1)))

    assert ended == [-1, 0.01, 0.02, 0.03]


@pytest.mark.parametrize(("first", "second"), [(0.005, 0.05), (0.05, 0.005)])
async def test_a_deadline_can_be_moved_both_ways(first, second):
    """The block ends between its second deadline and the next one of a later block."""
    ended = []

    async def wait(*seconds):
        with contextlib.suppress(TimeoutError), Deadline(soon(seconds[0])) as deadline:
            deadline.reschedule(soon(seconds[-1]))
            await asyncio.Event().wait()
        ended.append(seconds[-1])

    await asyncio.gather(wait(first, second), wait(0.025))

    assert ended == sorted([second, 0.025])


async def test_a_deadline_that_has_passed_cannot_be_moved():
    """A block that is being cancelled stays cancelled."""

    async def wait():
        with Deadline(soon(0.005)) as deadline:
            try:
                await asyncio.Event().wait()
            finally:
                deadline.reschedule(soon(10))

    with pytest.raises(TimeoutError):
        await wait()


async def test_a_cancellation_from_outside_raises_cancelled_error():
    """Only the deadline's own cancellation becomes TimeoutError."""

    async def wait():
        with Deadline(soon(10)):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_the_deadline():
    """A task that is cancelled while its deadline ends it raises CancelledError."""

    async def wait():
        with Deadline(soon(0.005)):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    task = asyncio.create_task(wait())

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_in_a_task_that_was_cancelled_before_still_raises_timeout_error():
    """An earlier cancellation that was caught does not hide the deadline's own."""
    task = asyncio.current_task()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)

    with pytest.raises(TimeoutError), Deadline(soon(0.005)):
        await asyncio.Event().wait()

    assert task.uncancel() == 0


async def test_a_block_that_catches_the_cancellation_returns_normally():
    """The task can be cancelled again afterwards."""
    with Deadline(soon(0.005)), contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()

    assert asyncio.current_task().cancelling() == 0


async def test_many_deadlines_share_one_timer(monkeypatch):
    """A deadline that is later than the timer sets none of its own."""
    loop, timers = asyncio.get_running_loop(), []
    real = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *given: timers.append(given) or real(*given))

    for _ in range(100):
        with Deadline(soon(10)) as deadline:
            deadline.reschedule(soon(20))

    assert len(timers) == 1


def test_deadlines_keep_no_reference_to_a_closed_loop():
    """The loop can be collected after its end."""

    async def wait():
        with Deadline(soon(10)):
            return weakref.ref(asyncio.get_running_loop())

    reference = asyncio.run(wait())
    gc.collect()

    assert reference() is None
