"""Requests that were held up after their permit, over a shared store."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from limiters import bucket
from stores import until

from memories_async import Limit
from memories_async.limiter import Priority
from memories_async.limiter._bucket_client import BucketClient, Reservation
from memories_async.limiter._rule import LEASE, MAX_LEAD
from memories_async.limiter._wait_queue import Waiter


@pytest.mark.parametrize("is_local", [False, True])
async def test_a_lone_request_that_is_late_is_sent_at_once(limiter, store, is_local):
    """The store moves its tick, so that every process keeps a gap to it."""
    store.is_local, where = is_local, bucket(1, per=60)
    async with limiter.permit(where) as permit:
        await asyncio.sleep(0.1)
        asked = time.monotonic()
        await asyncio.wait_for(permit.renew_if_late(), 10)
        assert permit.renew_if_late() is None

    assert store.states[where.name].gcra.latest >= asked
    assert store.states[where.name].permits >= 2  # a machine that is late again asks again


@pytest.mark.parametrize("is_local", [False, True])
async def test_requests_that_are_late_together_are_sent_a_gap_apart(limiter, store, is_local):
    """Five were held up by one slow connection; a call that has not begun waits behind them."""
    store.is_local, where, log = is_local, bucket(20), []
    connected = asyncio.Event()

    async def call(name):
        async with limiter.permit(where) as permit:
            await connected.wait()
            if (renewal := permit.renew_if_late()) is not None:
                await renewal
            log.append((permit.reservation.tick, name))

    calls = [asyncio.ensure_future(call(name)) for name in range(5)]
    await until(lambda: store.states and store.states[where.name].permits == 5)
    await asyncio.sleep(0.1)
    connected.set()
    await asyncio.sleep(0)
    await asyncio.gather(*calls, call("behind"))
    ticks = [tick for tick, _ in log]

    assert log[-1][1] == "behind"
    assert min(b - a for a, b in pairwise(ticks)) >= 1 / 20


async def test_a_machine_that_wakes_waiters_late_gets_its_ticks_further_ahead(limiter, monkeypatch):
    """The second tick is late again, the third is reserved for when it can be used, by a gap at most."""
    where, clients = bucket(2), limiter._worker._clients
    async with limiter.permit(where) as permit:
        take_tick, lates = limiter._worker.reserve, iter([0.1])

        async def take_late(*asked):
            reservation = await take_tick(*asked)
            await asyncio.sleep(next(lates, 0.0))
            return reservation

        monkeypatch.setattr(limiter._worker, "reserve", take_late)
        await asyncio.sleep(0.05)
        delays = []
        monkeypatch.setattr(
            type(clients[where]),
            "build_request",
            _noting(type(clients[where]).build_request, delays),
        )
        await asyncio.wait_for(permit.renew_if_late(), 10)

    assert max(delays) >= 0.2


async def test_a_late_request_that_is_cancelled_delays_no_other(limiter, monkeypatch):
    """Its process asks for ticks at their time again."""
    where, worker = bucket(1, per=60), limiter._worker
    async with limiter.permit(where) as permit:
        take_tick, renewals = worker.reserve, iter([Reservation(number=2, tick=0.0)])

        async def take_late(*asked):
            reservation = next(renewals, None)
            return reservation or await take_tick(*asked)

        monkeypatch.setattr(worker, "reserve", take_late)
        await asyncio.sleep(0.05)
        renewal = asyncio.ensure_future(permit.renew_if_late())
        await until(lambda: worker._clients[where].delay > 0)
        renewal.cancel()
        await asyncio.wait({renewal})

    assert worker._clients[where].delay == 0.0


def _noting(build_request, delays):
    def build(client, *arguments, **settings):
        delays.append(client.delay)
        return build_request(client, *arguments, **settings)

    return build


async def test_a_reservation_of_a_late_request_is_no_other_calls():
    """It comes without a slot: given up by its request, it goes back to the store."""
    client = BucketClient(bucket())
    client.reservation, client.reserved_for = Reservation(number=3, tick=0.0), Priority.LATE
    waiter = Waiter(asyncio.get_running_loop(), Priority.INTERACTIVE)
    client.queue.join(waiter)

    assert client.take(waiter, 1.0) is None
    client.offer(1.0)
    assert (client.unused, client.reservation, client.busy) == (3, None, 0)


async def test_few_requests_may_be_held_up_unless_the_store_is_down(limiter, store):
    """Processes that do not see each other hold more slots than the limit has, so none may be late."""
    where, times = bucket(1000, concurrency=10), []
    for store.down in (None, "away"):
        async with limiter.permit(where) as permit:
            tick = permit.reservation.tick
            permit.reservation = permit.reservation._replace(tick=tick - 0.5)
            renewal = permit.renew_if_late()
            times.append(renewal is not None)
            if renewal is not None:
                await asyncio.wait_for(renewal, 20)

    assert times == [False, True]


def test_a_request_is_not_held_up_for_longer_than_its_slot_is_kept():
    """A process that stood still for a while has lost its slots to others, and has not sent."""
    limit = Limit(1000, per=60, concurrency=10)

    assert limit.slack < limit.max_delay < LEASE - MAX_LEAD
