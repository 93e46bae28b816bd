"""Batches that end early: stopped, interrupted or failed, they lose nothing and leave no task."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from math import inf

import callers
import pytest
from batches import items, outcomes
from ledgers import until
from samples import EMBEDDED, embed_call
from servers import answer, serving, silent

from memories_async.errors import AuthenticationFailed, NotSent
from memories_async.ledger import DatabaseFailed, Ledger


@pytest.mark.parametrize(
    ("status", "code"), [(401, AuthenticationFailed), (402, None), (403, None)]
)
async def test_an_error_that_every_item_would_meet_stops_the_batch(ledger, status, code):
    """The rest is not sent; it stays planned and is sent by a later run."""
    no = {"code": status, "msg": "no"}
    async with serving(answer(no, status)) as server, callers.patient_client(server.url) as client:
        async with client.batch(items(500), ledger=ledger, concurrency=3) as batch:
            found = [outcome async for outcome in batch]
        assert len(found) <= 3
        assert server.requests <= 3
        assert batch.stopped is not None
        assert code is None or isinstance(batch.stopped, code)

        server.script[:] = [answer(EMBEDDED)]
        rest = await outcomes(client, items(500), ledger=ledger)

        assert all(one.error is None for one in rest.values())
        assert len(rest) == 500


async def test_leaving_early_waits_for_requests_that_are_out(ledger):
    """What was sent is recorded as paid; the rest is not sent."""
    gate = asyncio.Event()

    async def slowly(exchange):
        await exchange.receive()
        await gate.wait()
        await answer(EMBEDDED)(exchange)

    async with (
        serving(answer(EMBEDDED), slowly) as server,
        callers.patient_client(server.url) as client,
    ):
        async with client.batch(items(50), ledger=ledger, concurrency=4) as batch:
            await anext(batch)
            await until(lambda: batch.progress.in_flight == 4)
            asyncio.get_running_loop().call_later(0.02, gate.set)

        summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.sending) == (0, 0)
        assert summary.done == server.requests == 5


async def test_a_request_that_is_refused_for_its_rate_is_not_sent_again_by_a_batch_that_stops(
    ledger,
):
    """Its next attempt would be a further request; it stays planned, as it was not paid."""
    gate = asyncio.Event()

    async def refuse(exchange):
        await exchange.receive()
        await gate.wait()
        await answer({"code": 429, "msg": "slow down"}, 429)(exchange)

    async with serving(refuse) as server, callers.patient_client(server.url) as client:
        async with client.batch(items(9), ledger=ledger, concurrency=2, drain=5.0) as batch:
            await until(lambda: batch.progress.in_flight == 2 == server.requests)
            asyncio.get_running_loop().call_later(0.02, gate.set)

        summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.done, summary.sending) == (0, 0, 0)
        assert server.requests == 2


async def test_a_drain_that_takes_too_long_leaves_unknown_calls(ledger):
    """The ledger lists what was cut off."""
    async with serving(silent) as server, callers.patient_client(server.url) as client:
        async with client.batch(items(50), ledger=ledger, concurrency=2, drain=0.01) as batch:
            await until(lambda: batch.progress.in_flight == 2 == server.requests)

        summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.done, summary.sending) == (2, 0, 0)


async def test_a_second_interruption_ends_the_drain(ledger):
    """The batch ends at once, and the calls in flight are unknown."""

    async def use(client, server):
        async with client.batch(items(50), ledger=ledger, concurrency=2) as batch:
            await until(lambda: server.requests == 2)
            await anext(batch)

    async with serving(silent) as server, callers.patient_client(server.url) as client:
        task = asyncio.create_task(use(client.with_policy(timeout=30.0), server))
        await until(lambda: server.requests == 2)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert task.cancelled()
        assert (await asyncio.to_thread(ledger.summary)).unknown == 2


async def test_an_error_of_the_iterable_is_raised_after_the_outcomes(ledger):
    """The items before it are done."""

    def broken():
        yield from items(5).items()
        raise LookupError("the list ended badly")

    seen = []
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(LookupError, match="badly"):  # noqa: PT012  # raised inside the loop
            async with client.batch(broken(), ledger=ledger) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

    assert sorted(seen) == [*range(5)]


async def test_an_error_in_the_body_is_raised_unchanged(ledger):
    """The ledger has no call in flight."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  # raised inside the loop
            async with client.batch(items(50), ledger=ledger) as batch:
                await anext(batch)
                raise ZeroDivisionError

        assert (await asyncio.to_thread(ledger.summary)).sending == 0


async def test_a_generator_runs_in_one_thread_and_is_closed():
    """It may hold a database cursor, and it may block without blocking the loop."""
    threads = set()
    closed = threading.Event()

    def rows():
        connection = sqlite3.connect(":memory:")
        try:
            for (number,) in connection.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3"):
                threads.add(threading.get_ident())
                yield number, embed_call(f"re_{number}")
        finally:
            connection.close()
            closed.set()

    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        assert len(await outcomes(client, rows())) == 3

    assert closed.wait(5)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_an_asynchronous_generator_is_closed(ledger):
    """Also when the batch is left before its end."""
    closed = []

    async def endless():
        try:
            for number in itertools.count():
                yield number, embed_call(f"re_{number}")
        finally:
            closed.append(True)

    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(endless(), ledger=ledger) as batch:
            await anext(batch)

    assert closed == [True]


async def test_a_ledger_that_cannot_be_written_stops_the_batch(tmp_path):
    """No call is sent without a record."""
    (tmp_path / "run.db").write_text("this is no database, and long enough to be told from one")
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(DatabaseFailed, match="not a database"):
            await outcomes(client, items(10), ledger=Ledger(tmp_path / "run.db"))

        assert server.requests == 0


async def test_a_network_that_goes_away_is_waited_for(ledger, monkeypatch):
    """No item fails while the service cannot be reached."""
    monkeypatch.setattr("memories_async.batch._circuit_breaker.LONGEST", 0.01)
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(items(20), ledger=ledger, concurrency=1) as batch:
            await anext(batch)
            await server.__aexit__(None, None, None)
            await asyncio.sleep(0.05)
            server._server = await asyncio.start_server(
                server._serve, "127.0.0.1", server.port, limit=2**20
            )
            rest = [outcome async for outcome in batch]

    assert [one.error for one in rest if isinstance(one.error, NotSent)] == []
    assert len(rest) == 19


@pytest.mark.parametrize("is_waiting", [True, False], ids=["waiting", "connecting"])
async def test_leaving_does_not_wait_for_a_service_that_is_away(ledger, monkeypatch, is_waiting):
    """Nothing is out, however long the batch would wait for the service; the items stay planned."""
    waits, attempts = [], []

    async def wait(_):
        waits.append(True)
        await asyncio.Event().wait()

    async def refuse(*_):
        attempts.append(True)
        if not is_waiting:
            await gate.wait()
        raise NotSent("the service is away", transient=True)

    gate = asyncio.Event()
    monkeypatch.setattr("memories_async.batch._circuit_breaker.CircuitBreaker.wait", wait)
    async with callers.patient_client("http://localhost:9", policy=callers.HASTY) as client:
        monkeypatch.setattr(client._transport, "carry", refuse)
        async with asyncio.timeout(20):
            once = client.with_policy(attempts=1)
            async with once.batch(items(9), ledger=ledger, concurrency=2, drain=inf):
                await until(lambda: len(waits if is_waiting else attempts) == 2)
                asyncio.get_running_loop().call_soon(gate.set)

    summary = await asyncio.to_thread(ledger.summary)
    assert (summary.unknown, summary.sending, len(attempts)) == (0, 0, 2)
    assert summary.planned >= 2


async def test_a_service_that_was_never_there_fails_every_item(ledger):
    """A misspelt host is reported at once."""
    async with callers.patient_client("http://localhost:9", policy=callers.HASTY) as client:
        found = await outcomes(client, items(3), ledger=ledger)

    assert all(isinstance(one.error, NotSent) for one in found.values())
    assert ledger.summary().planned == 3
