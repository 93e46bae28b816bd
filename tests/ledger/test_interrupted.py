"""Calls that are called off, shared or taken over: the ledger says what is known, and no more."""

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


async def test_cancelled_while_waiting_for_the_answer_is_unknown(ledger):
    """It was sent, and whoever sent it went away."""
    async with serving(silent) as server, callers.client(server.url, ledger=ledger) as client:
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        await cancelled(task)

    assert rows(ledger) == [("unknown", None, 1)]


async def test_cancelled_in_line_is_planned(ledger):
    """Nothing was begun, and nobody else has to wait for it."""
    limits = Limits(search=Limit(1, 60))
    async with serving(answer(FOUND)) as server:  # noqa: SIM117  # reads better apart
        async with callers.client(server.url, ledger=ledger, limits=limits) as client:
            await client.send(search_call())
            task = asyncio.create_task(client.send(search_call(prompt="another")))
            await until(lambda: len(rows(ledger)) == 2)
            await cancelled(task)

    assert rows(ledger)[1] == ("planned", None, 0)


async def test_cancelled_while_connecting_is_planned(ledger, monkeypatch):
    """The intent was written, but no byte left: it is taken back."""
    connecting = asyncio.Event()

    async def resolve(*_, **__):
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("aiohttp.TCPConnector._create_connection", resolve)
    async with callers.client("http://localhost:9", ledger=ledger) as client:
        task = asyncio.create_task(client.send(search_call()))
        await connecting.wait()
        assert [row[0] for row in rows(ledger)] == ["sending"]
        await cancelled(task)

    assert rows(ledger) == [("planned", None, 0)]


async def test_a_retried_call_cancelled_while_connecting_stays_unknown(ledger, monkeypatch):
    """Its first attempt is still in doubt."""
    connecting = asyncio.Event()

    async def resolve(*_, **__):
        connecting.set()
        await asyncio.Event().wait()

    async with serving(hang_up) as server, callers.client(server.url, ledger=ledger) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        monkeypatch.setattr("aiohttp.TCPConnector._create_connection", resolve)
        batch = client.batch({1: search_call()}, on_unknown="resend", drain=0.01)
        async with batch:
            await connecting.wait()

    assert rows(ledger) == [("unknown", None, 1)]


async def test_cancelled_while_claiming_leaves_nothing_claimed(ledger):
    """The claim is written all the same, and given back."""
    async with (
        serving(answer(FOUND)) as server,
        callers.client(server.url, ledger=ledger) as client,
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
    """Nobody listens there: safe to ask again."""
    async with callers.client("http://localhost:9", ledger=ledger) as client:
        with pytest.raises(NotSent):
            await client.send(search_call())

    assert [row[:2] for row in rows(ledger)] == [("planned", None)]


async def test_identical_calls_in_flight_share_one_request(ledger):
    """Ten tasks ask, one request leaves, all have the answer."""
    async with serving(answer(FOUND, after=0.02)) as server:
        async with callers.client(server.url, ledger=ledger) as client:
            answers = await asyncio.gather(*(client.send(search_call()) for _ in range(10)))

        assert server.requests == 1
    assert len(set(answers)) == 1


async def test_identical_calls_in_flight_share_one_refusal(ledger):
    """Each has an error of its own."""
    async with serving(answer(WRONG, after=0.02)) as server:
        async with callers.client(server.url, ledger=ledger) as client:
            errors = await asyncio.gather(
                *(client.send(search_call()) for _ in range(3)), return_exceptions=True
            )

        assert server.requests == 1
    assert {type(error) for error in errors} == {InvalidRequest}
    assert len({id(error) for error in errors}) == 3


async def test_who_stops_waiting_stops_nobody_else(ledger):
    """Neither the one who sends nor those who wait."""
    async with serving(answer(FOUND, after=0.03)) as server:  # noqa: SIM117  # reads better apart
        async with callers.client(server.url, ledger=ledger) as client:
            tasks = [asyncio.create_task(client.send(search_call())) for _ in range(3)]
            await until(lambda: server.requests)
            await cancelled(tasks[1])

            assert await tasks[0] == await tasks[2]
            assert server.requests == 1


async def test_where_the_sender_is_cancelled_the_others_learn_of_the_doubt(ledger):
    """They may not send it again either."""
    async with serving(silent) as server, callers.client(server.url, ledger=ledger) as client:
        tasks = [asyncio.create_task(client.send(search_call())) for _ in range(2)]
        await until(lambda: server.requests)
        await cancelled(tasks[0])

        with pytest.raises(OutcomeUnknown):
            await tasks[1]
        assert server.requests == 1


async def test_two_ledgers_on_one_file_share_one_request(tmp_path):
    """As two processes would."""
    one, other = Ledger(tmp_path / "run.db"), Ledger(tmp_path / "run.db")
    async with serving(answer(FOUND, after=0.05)) as server:
        async with (
            callers.client(server.url, ledger=one) as first,
            callers.client(server.url, ledger=other) as second,
        ):
            await asyncio.gather(first.send(search_call()), second.send(search_call()))

        assert server.requests == 1


async def test_an_entry_settled_behind_the_senders_back_is_not_sent(ledger):
    """The line looks once more when it writes its intent."""
    async with serving(hang_up) as server, callers.client(server.url, ledger=ledger) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        (entry,) = ledger.unknown()
        ledger.retry(entry.key)
        (claim,) = await ledger.desk.claim([_ask(entry)])
        ledger.settle(entry.key, paid=True, answer=[])

        with pytest.raises(NotSent, match="settled"):
            await claim.sending()
        await claim.close()


def _ask(entry):
    from memories_async.ledger._tables import Ask

    return Ask(
        key=entry.key,
        call=entry.call,
        asked=entry.asked,
        account=entry.account,
        unit=entry.unit,
    )


async def test_a_failed_write_of_an_outcome_does_not_hide_the_outcome(ledger, caplog):
    """The caller hears what happened to the call; the entry stays in doubt, and the log says so."""

    async def spoil(exchange):
        ledger.path.rename(ledger.path.with_name("moved.db"))
        await answer(WRONG)(exchange)

    async with serving(spoil) as server, callers.client(server.url, ledger=ledger) as client:
        with pytest.raises(InvalidRequest):
            await client.send(search_call())

    assert "stays as it was" in caplog.text


async def test_a_call_that_cannot_be_sent_at_all_holds_nothing(tmp_path):
    """A batch lets go of an item that its client has no receiver for."""
    one, other = Ledger(tmp_path / "run.db"), Ledger(tmp_path / "run.db")
    homeless = captions.upload("https://example.com/v", user_prompt="a", system_prompt="b")
    async with callers.client("http://localhost:9") as client:  # noqa: SIM117  # reads better apart
        async with client.batch({1: homeless}, ledger=one) as batch:
            assert isinstance((await anext(batch)).error, ValueError)

    assert rows(other) == [("planned", None, 0)]
