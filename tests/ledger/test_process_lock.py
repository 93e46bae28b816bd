"""The lock that ends with its process: deaths, forks and exits."""

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
from memories_async.ledger import DatabaseFailed, Ledger, _process_lock
from memories_async.ledger._process_lock import ProcessLock


async def test_a_call_that_a_dead_process_was_sending_is_unknown(tmp_path):
    """Its lock is free, so no answer will be recorded."""
    dead, ledger = Ledger(tmp_path / "run.db"), Ledger(tmp_path / "run.db")
    async with serving(silent) as server, callers.patient_client(server.url, ledger=dead) as client:
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        assert (await asyncio.to_thread(ledger.summary)).sending == 1
        name = dead.coordinator.store.lock.acquire()
        dead.coordinator.store.lock.abandon()

        (entry,) = await asyncio.to_thread(ledger.unknown)
        assert "ended before" in entry.message
        assert not ledger.path.with_name(f"run.db-owner-{name}").exists()
        await cancelled(task)


async def test_an_entry_that_a_task_of_ours_never_closed_is_unknown(ledger):
    """It blocks no other task, and the call is not sent again."""
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        task = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        (entry,) = await asyncio.to_thread(lambda: [*ledger.entries()])
        ledger.coordinator.flights.end(entry.key, None)

        with pytest.raises(OutcomeUnknown):
            await client.send(search_call())
        await cancelled(task)


def test_a_forked_child_acquires_its_own_lock(file_ledger):
    """The parent's lock ends with the parent."""
    lock = file_ledger.coordinator.store.lock
    mine = lock.acquire()
    assert file_ledger.coordinator.flights.join("key") is None
    child = os.fork()
    if child == 0:
        fine = lock._handle < 0 and file_ledger.coordinator.flights.join("key") is None
        os._exit(0 if fine and lock.acquire() != mine else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lock.acquire() == mine
    assert ProcessLock(file_ledger.path).is_alive(mine)


def test_the_child_of_a_fork_abandons_lock_and_flights(file_ledger):
    """The functions registered for the child, called in this process."""
    lock = file_ledger.coordinator.store.lock
    mine = lock.acquire()
    assert file_ledger.coordinator.flights.join("key") is None
    _process_lock.locks.call(ProcessLock.abandon)
    file_ledger.coordinator.flights.clear()

    assert not ProcessLock(file_ledger.path).is_alive(mine)
    assert file_ledger.coordinator.flights.join("key") is None


def test_a_released_lock_is_not_alive(tmp_path):
    """Its file is removed, and the next use acquires another."""
    lock, other = ProcessLock(tmp_path / "run.db"), ProcessLock(tmp_path / "run.db")
    name = lock.acquire()
    assert other.is_alive(name)
    lock.release()
    lock.release()

    assert not other.is_alive(name)
    assert lock.acquire() != name
    assert lock.is_alive(lock.acquire())
    assert not other.is_alive("somebody")


def test_lock_files_are_removed_at_exit(tmp_path):
    """No file is left beside the ledger."""
    lock = ProcessLock(tmp_path / "run.db")
    lock.acquire()
    _process_lock.locks.call(ProcessLock.remove_file)

    assert [*tmp_path.iterdir()] == []


def test_a_ledger_of_a_newer_version_is_refused(tmp_path):
    """The error names the version."""
    with Ledger(tmp_path / "run.db") as ledger:
        ledger.summary()
    with closing(sqlite3.connect(tmp_path / "run.db")) as connection, connection:
        connection.execute("UPDATE schemas SET version = 99")

    with pytest.raises(DatabaseFailed, match="newer memories_async"):
        Ledger(tmp_path / "run.db").summary()
