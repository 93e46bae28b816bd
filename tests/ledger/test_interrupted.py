"""Calls that are cancelled, shared or taken over by another process: what the ledger records."""

from __future__ import annotations

import asyncio

import callers
import pytest
from ledgers import WRONG, cancelled, rows, until
from samples import FOUND, search_call
from servers import answer, hang_up, serving, silent

from memories_async import Limit, Limits, captions
from memories_async.errors import InvalidRequest, NotSent, OutcomeUnknown
from memories_async.ledger import Ledger
from memories_async.ledger._schema import EntryKey


async def test_a_call_cancelled_while_it_waits_for_the_reply_is_unknown(ledger):
    """It was sent."""
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        await cancelled(task)

    assert rows(ledger) == [("unknown", None, 1)]
    (entry,) = await asyncio.to_thread(ledger.unknown)
    assert (entry.message, entry.billed) == ("the call was cancelled after it was sent", "maybe")


async def test_a_call_cancelled_while_it_waits_for_a_permit_is_planned(ledger):
    """No attempt was begun, and no process owns the entry."""
    limits = Limits(search=Limit(1, 60))
    async with serving(answer(FOUND)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger, limits=limits) as client:
            await client.send(search_call())
            task = asyncio.create_task(client.send(search_call(prompt="another")))
            await until(lambda: len(rows(ledger)) == 2)
            await cancelled(task)

    assert rows(ledger)[1] == ("planned", None, 0)


async def test_a_call_cancelled_while_connecting_is_planned(ledger, monkeypatch):
    """The intent was recorded, but no byte left: it is undone."""
    connecting = asyncio.Event()

    async def resolve(*_, **__):
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("aiohttp.TCPConnector._create_connection", resolve)
    async with callers.patient_client("http://localhost:9", ledger=ledger) as client:
        task = asyncio.create_task(client.send(search_call()))
        await connecting.wait()
        assert [row[0] for row in rows(ledger)] == ["sending"]
        await cancelled(task)

    assert rows(ledger) == [("planned", None, 0)]


async def test_a_retried_call_cancelled_while_connecting_stays_unknown(ledger, monkeypatch):
    """The outcome of its first attempt is still unknown."""
    connecting = asyncio.Event()

    async def resolve(*_, **__):
        connecting.set()
        await asyncio.Event().wait()

    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        monkeypatch.setattr("aiohttp.TCPConnector._create_connection", resolve)
        batch = client.batch({1: search_call()}, on_unknown="resend", drain=0.01)
        async with batch:
            await connecting.wait()

    assert rows(ledger) == [("unknown", None, 1)]


async def test_a_call_cancelled_while_claiming_owns_no_entry(ledger):
    """The claim is written all the same, and then withdrawn."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with ledger.database._writing:
            task = asyncio.create_task(client.send(search_call()))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait([task])
        assert task.cancelled()
        assert rows(ledger) == [("planned", None, 0)]

        await client.send(search_call())


async def test_a_call_that_could_not_be_sent_is_planned(ledger):
    """Nothing listens on the port: it is safe to repeat."""
    async with callers.patient_client("http://localhost:9", ledger=ledger) as client:
        with pytest.raises(NotSent):
            await client.send(search_call())

    assert [row[:2] for row in rows(ledger)] == [("planned", None)]


async def test_identical_calls_in_flight_share_one_request(ledger):
    """Ten tasks send the call, one request leaves, all get the answer."""
    async with serving(answer(FOUND, after=0.02)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            answers = await asyncio.gather(*(client.send(search_call()) for _ in range(10)))

        assert server.requests == 1
    assert len(set(answers)) == 1


async def test_identical_calls_in_flight_share_one_refusal(ledger):
    """Each caller gets its own error object."""
    async with serving(answer(WRONG, after=0.02)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            errors = await asyncio.gather(
                *(client.send(search_call()) for _ in range(3)), return_exceptions=True
            )

        assert server.requests == 1
    assert {type(error) for error in errors} == {InvalidRequest}
    assert len({id(error) for error in errors}) == 3


async def test_a_cancelled_waiter_stops_no_other(ledger):
    """Neither the sender nor the other waiters."""
    async with serving(answer(FOUND, after=0.03)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger) as client:
            tasks = [asyncio.create_task(client.send(search_call())) for _ in range(3)]
            await until(lambda: server.requests)
            await cancelled(tasks[1])

            assert await tasks[0] == await tasks[2]
            assert server.requests == 1


async def test_waiters_for_a_cancelled_sender_get_outcome_unknown(ledger):
    """They do not send it again."""
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        tasks = [asyncio.create_task(client.send(search_call())) for _ in range(2)]
        await until(lambda: server.requests)
        await cancelled(tasks[0])

        with pytest.raises(OutcomeUnknown):
            await tasks[1]
        assert server.requests == 1


async def test_two_ledgers_in_one_place_share_one_request(place):
    """As two processes would."""
    one, other = Ledger(place), Ledger(place)
    async with serving(answer(FOUND, after=0.05)) as server:
        async with (
            callers.patient_client(server.url, ledger=one) as first,
            callers.patient_client(server.url, ledger=other) as second,
        ):
            await asyncio.gather(first.send(search_call()), second.send(search_call()))

        assert server.requests == 1


async def test_an_entry_that_was_settled_meanwhile_is_not_sent(ledger):
    """Recording the intent fails where the entry is no longer open."""
    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        (entry,) = ledger.unknown()
        ledger.retry(entry.key)
        (claim,) = await ledger.coordinator.claim([build_key(entry)])
        ledger.settle(entry.key, paid=True, answer=[])

        with pytest.raises(NotSent, match="settled"):
            await claim.sending()
        await claim.close()


def build_key(entry):
    return EntryKey(
        key=entry.key,
        content=bytes.fromhex(entry.key),
        call=entry.call,
        asked=entry.asked,
        account=entry.account,
        unit=entry.unit,
    )


async def test_a_failed_write_of_an_outcome_does_not_replace_the_outcome(file_ledger, caplog):
    """The caller gets the call's own error; the log says that the entry is unchanged."""

    async def spoil(exchange):
        file_ledger.path.rename(file_ledger.path.with_name("moved.db"))
        await answer(WRONG)(exchange)

    async with (
        serving(spoil) as server,
        callers.patient_client(server.url, ledger=file_ledger) as client,
    ):
        with pytest.raises(InvalidRequest):
            await client.send(search_call())

    assert "entry is unchanged" in caplog.text


async def test_a_call_that_this_client_cannot_send_owns_no_entry(place):
    """A batch releases an item that its client has no receiver for."""
    one, other = Ledger(place), Ledger(place)
    without_callback = captions.upload("https://example.com/v", user_prompt="a", system_prompt="b")
    async with callers.patient_client("http://localhost:9") as client:  # noqa: SIM117  # reads better apart
        async with client.batch({1: without_callback}, ledger=one) as batch:
            assert isinstance((await anext(batch)).error, ValueError)

    assert rows(other) == [("planned", None, 0)]
