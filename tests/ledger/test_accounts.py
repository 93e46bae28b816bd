"""Accounts: a change of the key pays for nothing twice, unless told to."""

from __future__ import annotations

import asyncio
import pickle

import callers
import pytest
from batches import outcomes
from ledgers import cancelled, end_process, states, until
from samples import FOUND, KEY, embed_call, search_call
from servers import answer, hang_up, serving, silent

from memories_async import Ledger
from memories_async.errors import NotSent, OutcomeUnknown, PaidElsewhere
from memories_async.ledger._coordinator import build_entry_key

OTHER = "local-another-key"


@pytest.fixture
async def server():
    async with serving(answer(FOUND)) as running:
        yield running


def connect(server, ledger, **changes):
    """A client of *server* that records in *ledger*."""
    return callers.patient_client(server.url, ledger=ledger, **changes)


async def send(server, ledger, call, *, fresh=False, **changes):
    """Send *call* by a client of its own."""
    async with connect(server, ledger, **changes) as client:
        return await client.send(call, fresh=fresh)


async def test_a_named_account_keeps_its_entries_when_the_key_changes(server, ledger):
    """The second key is answered from the ledger."""
    first = await send(server, ledger, search_call(), account="team")

    assert await send(server, ledger, search_call(), account="team", api_key=OTHER) == first
    assert server.requests == 1


async def test_the_variable_names_the_account(server, ledger, monkeypatch):
    """As the argument does."""
    monkeypatch.setenv("MEMORIES_ACCOUNT", "team")
    await send(server, ledger, search_call())

    assert [entry.account for entry in ledger.entries()] == ["team"]


@pytest.mark.parametrize("changes", [{"api_key": OTHER}, {"account": "team"}])
async def test_a_call_paid_under_another_account_is_not_sent(server, ledger, changes):
    """The error names both accounts and what to do; the call costs nothing."""
    await send(server, ledger, search_call())
    (paid,) = ledger.entries()

    with pytest.raises(PaidElsewhere, match="rename_account") as caught:
        await send(server, ledger, search_call(), **changes)

    assert (server.requests, caught.value.billed) == (1, "no")
    assert isinstance(caught.value, NotSent)
    assert paid.account in caught.value.message
    assert states(ledger) == ["done"]


async def test_a_call_perhaps_paid_under_another_account_is_not_sent(ledger):
    """Unknown counts as paid here."""
    async with serving(hang_up, answer(FOUND)) as server:
        with pytest.raises(OutcomeUnknown):
            await send(server, ledger, search_call(), account="one")
        with pytest.raises(PaidElsewhere, match="perhaps paid"):
            await send(server, ledger, search_call(), account="two")

        assert server.requests == 1


async def test_a_call_in_flight_under_another_account_is_not_sent(ledger):
    """It may be paid in a moment."""
    async with serving(silent) as server, connect(server, ledger, account="one") as client:
        sending = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        with pytest.raises(PaidElsewhere):
            await send(server, ledger, search_call(), account="two")
        await cancelled(sending)

        assert server.requests == 1


async def test_a_call_that_waits_under_another_account_is_not_sent(server, ledger, place):
    """It is claimed, and about to be paid; once its process is dead, it is not."""
    one = Ledger(place)
    key = build_entry_key(search_call(), "one")
    (claim,) = await one.coordinator.claim([key])
    with pytest.raises(PaidElsewhere):
        await send(server, ledger, search_call(), account="two")

    end_process(one.coordinator.store)
    await send(server, ledger, search_call(), account="two")
    assert server.requests == 1
    await claim.close()


async def test_fresh_pays_under_another_account(server, ledger):
    """That is what it is for."""
    await send(server, ledger, search_call(), account="one")
    await send(server, ledger, search_call(), account="two", fresh=True)

    assert server.requests == 2


async def test_a_batch_reports_what_is_paid_elsewhere(server, ledger):
    """As the outcome of that item; its plan counts it, and the other items are sent."""
    await send(server, ledger, search_call(), account="one")
    calls = {"old": search_call(), "new": search_call(prompt="another")}
    async with connect(server, ledger, account="two") as client:
        plan = await client.batch(calls).plan()
        found = await outcomes(client, calls)

    assert (plan.paid_elsewhere, plan.calls, plan.paid) == (1, 1, 0)
    assert isinstance(found["old"].error, PaidElsewhere)
    # The ledger holds no outcome of it for this account.
    assert (found["old"].billed, found["old"].replayed) == ("no", False)
    assert found["new"].error is None
    assert server.requests == 2


async def test_renaming_an_account_brings_its_entries_over(server, ledger):
    """A paid one answers, an unknown one stays unknown, and the old keys still find them."""
    first = await send(server, ledger, search_call())
    server.script[:] = [hang_up]
    with pytest.raises(OutcomeUnknown):
        await send(server, ledger, search_call(prompt="lost"))
    paid, lost = ledger.entries()

    assert ledger.rename_account(paid.account, "team") == 2
    assert await send(server, ledger, search_call(), account="team", api_key=OTHER) == first
    with pytest.raises(OutcomeUnknown):
        await send(server, ledger, search_call(prompt="lost"), account="team")
    assert server.requests == 2

    (moved,) = ledger.find(lost.key)
    assert (moved.account, moved.key == lost.key) == ("team", False)
    ledger.settle(lost.key, paid=False)
    ledger.rename_account("team", "crew")
    assert ledger.find(lost.key) == ledger.find(moved.key)
    assert ledger.find(lost.key)[0].state == "planned"


async def test_renaming_waits_for_calls_that_are_being_sent(ledger):
    """Their senders would not find their entries."""
    async with serving(silent) as server, connect(server, ledger, account="one") as client:
        sending = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        with pytest.raises(ValueError, match="being sent"):
            await asyncio.to_thread(ledger.rename_account, "one", "two")
        await cancelled(sending)

    assert ledger.rename_account("one", "two") == 1


@pytest.mark.parametrize("new", ["", " ", "one"])
def test_renaming_to_no_other_name_is_refused(ledger, new):
    """Before anything is changed."""
    with pytest.raises(ValueError, match="another account"):
        ledger.rename_account("one", new)


@pytest.mark.parametrize("name", ["", " ", "a\nb", KEY, f"my {KEY}"])
def test_a_name_that_cannot_be_kept_is_refused(name):
    """The ledger keeps the name, so it must not hold a key."""
    with pytest.raises(ValueError, match="account must be"):
        callers.client("http://localhost:9", account=name)


def test_two_keys_of_one_account_share_its_rate():
    """The limiter's bucket goes by the account's name."""
    one = callers.client("http://localhost:9", account="team")
    other = callers.client("http://localhost:9", account="team", api_key=OTHER)
    call = embed_call()

    assert one._settings.bucket(call.host, call.family) == other._settings.bucket(
        call.host, call.family
    )
    assert pickle.loads(pickle.dumps(one))._settings.account(call) == "team"
