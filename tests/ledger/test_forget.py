"""Forgetting: what a rule for retention asks to delete is gone, and nothing that may be paid."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime

import callers
import pytest
from ledgers import cancelled, states, until
from samples import FOUND, search_call
from servers import answer, hang_up, serving, silent

from memories_async.errors import OutcomeUnknown

SECRET = "a prompt about a person"


@pytest.fixture
async def filled(ledger):
    """A ledger with a paid call, an unknown one, and one that was settled as not paid."""
    async with serving(answer(FOUND), hang_up) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger) as client:
            await client.send(search_call(prompt=SECRET))
            for prompt in ("lost", "settled"):
                with pytest.raises(OutcomeUnknown):
                    await client.send(search_call(prompt=prompt))
    ledger.settle(ledger.unknown()[1].key, paid=False)
    return ledger


async def test_what_ended_before_is_deleted_and_counted(filled):
    """Prompts and answers are overwritten in the file; what is unknown stays."""
    assert states(filled) == ["done", "unknown", "planned"]

    assert filled.forget(before=time.time() + 1) == 2

    assert states(filled) == ["unknown"]
    filled.close()
    if filled.path is None:  # the server overwrites by its own rules
        return
    content = filled.path.read_bytes()
    assert SECRET.encode() not in content
    assert b"0.8631" not in content


async def test_what_ended_later_stays(filled):
    """The time is the end of the call."""
    assert filled.forget(before=time.time() - 60) == 0
    assert len(states(filled)) == 3


async def test_a_call_that_may_have_been_paid_before_stays(filled):
    """After `retry` it is planned, and still counts as perhaps paid."""
    filled.retry(filled.unknown()[0].key)

    filled.forget(before=time.time() + 1)

    assert [entry.billed for entry in filled.entries()] == ["maybe"]


async def test_a_call_that_is_being_sent_stays(ledger):
    """Its answer is still to come."""
    async with serving(silent) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger) as client:
            sending = asyncio.create_task(client.send(search_call()))
            await until(lambda: server.requests)
            assert await asyncio.to_thread(ledger.forget, before=time.time() + 60) == 0
            await cancelled(sending)


def test_the_time_has_a_time_zone(ledger):
    """A datetime without one is refused."""
    with pytest.raises(ValueError, match="time zone"):
        ledger.forget(before=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point

    assert ledger.forget(before=datetime(2026, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("before", "kind"),
    [("2020-01-01", TypeError), (None, TypeError), (True, TypeError), (math.nan, ValueError)],
)
def test_a_time_of_another_type_deletes_nothing(filled, before, kind):
    """To SQLite every time is earlier than a text."""
    entries = [*filled.entries()]
    with pytest.raises(kind, match="before must be"):
        filled.forget(before=before)

    assert [*filled.entries()] == entries
