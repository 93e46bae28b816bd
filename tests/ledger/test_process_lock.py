"""Who is at work on a ledger: processes that die, fork and leave, and files of another time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing

import callers
import pytest
from ledgers import cancelled, until
from samples import search_call
from servers import serving, silent

from memories_async.errors import OutcomeUnknown
from memories_async.ledger import DatabaseFailed, Ledger
from memories_async.ledger._process_lock import Owner


async def test_what_a_dead_process_was_sending_is_unknown(tmp_path):
    """Its lock is gone, so nobody will ever record an answer."""
    dead, ledger = Ledger(tmp_path / "run.db"), Ledger(tmp_path / "run.db")
    async with serving(silent) as server, callers.client(server.url, ledger=dead) as client:
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        assert (await asyncio.to_thread(ledger.summary)).sending == 1
        name = dead.desk.owner.name()
        dead.desk.owner.let_go()

        (entry,) = await asyncio.to_thread(ledger.unknown)
        assert "ended before" in entry.message
        assert not ledger.path.with_name(f"run.db-owner-{name}").exists()
        await cancelled(task)


async def test_an_older_entry_of_ours_that_nobody_finished_is_in_doubt(ledger):
    """A line that was never closed blocks nobody, and is not sent again."""
    async with serving(silent) as server, callers.client(server.url, ledger=ledger) as client:
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        (entry,) = await asyncio.to_thread(lambda: [*ledger.entries()])
        ledger.desk.flights.land(entry.key, None)

        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        await cancelled(task)


def test_a_forked_child_has_an_owner_and_flights_of_its_own(ledger):
    """The parent's lock must end with the parent."""
    owner = ledger.desk.owner
    mine = owner.name()
    assert ledger.desk.flights.join("key") is None
    child = os.fork()
    if child == 0:
        fine = owner._handle < 0 and ledger.desk.flights.join("key") is None
        os._exit(0 if fine and owner.name() != mine else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert owner.name() == mine
    assert Owner(ledger.path).is_alive(mine)


def test_what_a_fork_leaves_to_the_child_is_let_go(ledger):
    """The same, looked at in this process."""
    from memories_async.ledger import _process_lock as owners

    owner = ledger.desk.owner
    mine = owner.name()
    assert ledger.desk.flights.join("key") is None
    owners._let_all_go()
    ledger.desk.flights._forget()

    assert not Owner(ledger.path).is_alive(mine)
    assert ledger.desk.flights.join("key") is None


def test_an_owner_that_left_is_not_alive(tmp_path):
    """Its mark is removed, and a new one is taken at the next use."""
    owner, other = Owner(tmp_path / "run.db"), Owner(tmp_path / "run.db")
    name = owner.name()
    assert other.is_alive(name)
    owner.leave()
    owner.leave()

    assert not other.is_alive(name)
    assert owner.name() != name
    assert owner.is_alive(owner.name())
    assert not other.is_alive("somebody")


def test_marks_do_not_outlive_a_process(tmp_path):
    """What is left beside the ledger at exit is removed."""
    from memories_async.ledger import _process_lock as owners

    owner = Owner(tmp_path / "run.db")
    owner.name()
    owners._bury_all()

    assert [*tmp_path.iterdir()] == []


def test_an_older_ledger_is_refused_by_name(tmp_path):
    """A file of a newer version is not touched."""
    with Ledger(tmp_path / "run.db") as ledger:
        ledger.summary()
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection, connection:
        connection.execute("UPDATE schemas SET version = 99")

    with pytest.raises(DatabaseFailed, match="newer memories_async"):
        Ledger(tmp_path / "run.db").summary()
