"""Stores: in memory and in a file, one behaviour."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading

import pytest

from memories_async import Receiver
from memories_async._database.file import DatabaseFailed
from memories_async.ledger import Ledger
from memories_async.receiver import (
    CallbackDelivery,
    CallbackStore,
    MemoryStore,
    SqliteStore,
    Submission,
    Verdict,
    _sqlite_store,
)

DAY = 86_400.0


def ticket(letter: bytes, key=None) -> Submission:
    return Submission(id=letter * 16, call="captions.upload", key=key, issued_at=100.0)


def arrival(what="one", task_id="t1", *, final=True) -> CallbackDelivery:
    return CallbackDelivery(task_id=task_id, final=final, body=f'"{what}"'.encode(), at=101.0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, path):
    made = MemoryStore() if request.param == "memory" else SqliteStore.at(path)
    yield made
    made.close()


async def deliver(store, letter: bytes, *arrivals) -> list[Verdict]:
    return [(await store.add_delivery(letter * 16, one, accept_for=DAY))[0] for one in arrivals]


async def test_what_was_issued_and_delivered_is_found(store) -> None:
    """By the submission's id and by the task's, bound or named by the callback."""
    await store.add_submission(ticket(b"a", key="k"))
    await store.add_submission(ticket(b"b"))
    await store.set_task(b"a" * 16, "t1")
    assert await deliver(store, b"a", arrival()) == [Verdict.STORED]
    assert await deliver(store, b"b", arrival(task_id="t2")) == [Verdict.STORED]

    record = await store.find("t1")
    assert record == await store.find(b"a" * 16)
    assert (record.submission, record.outcome) == (ticket(b"a", key="k"), arrival())
    assert (await store.find("t2")).submission.id == b"b" * 16
    assert await store.find("t3") is None
    assert await store.find(b"c" * 16) is None


async def test_deliveries_are_judged_one_after_the_other(store) -> None:
    """Of many at once, one is stored and the others are what they are beside it."""
    await store.add_submission(ticket(b"a"))

    verdicts = await asyncio.gather(
        *(store.add_delivery(b"a" * 16, arrival(f"{n % 3}"), accept_for=DAY) for n in range(9))
    )

    seen = [verdict for verdict, _ in verdicts]
    assert seen.count(Verdict.STORED) == 1
    assert seen.count(Verdict.CONFLICTING) == 2
    assert seen.count(Verdict.REPEATED) == 6
    assert await deliver(store, b"z", arrival()) == [Verdict.REJECTED]


async def test_what_the_ledger_was_not_told_is_listed(store) -> None:
    """Only entries with an outcome, until they are told."""
    await store.add_submission(ticket(b"a", key="k"))
    await store.add_submission(ticket(b"b"))
    assert await store.list_unreconciled() == ()
    await deliver(store, b"a", arrival())
    await deliver(store, b"b", arrival(task_id="t2"))

    assert [record.submission.key for record in await store.list_unreconciled()] == ["k"]
    await store.mark_reconciled(b"a" * 16)
    assert await store.list_unreconciled() == ()


async def test_the_secret_is_drawn_once(store) -> None:
    """All who use a store sign with one secret."""
    assert len(await store.get_secret()) == 32
    assert await store.get_secret() == await store.get_secret()


async def test_news_tells_what_another_process_stored(path) -> None:
    """Each delivery once, none from before the first look, and nothing when nothing came."""
    here, there = SqliteStore.at(path), SqliteStore.at(path)
    await there.add_submission(ticket(b"a"))
    await deliver(there, b"a", arrival("early"))
    mark, records = await here.read_news(None)
    assert records == ()

    assert await here.read_news(mark) == (mark, ())
    await deliver(there, b"a", arrival("later"))
    mark, records = await here.read_news(mark)
    assert [one.deliveries[-1].body for one in records] == [b'"later"']
    assert (await here.read_news(mark))[1] == ()
    here.close()
    there.close()


async def test_news_comes_in_portions(path, monkeypatch) -> None:
    """Much at once is gone through bit by bit, without a further write to wake for."""
    monkeypatch.setattr(_sqlite_store, "NEWS_PAGE", 2)
    store = SqliteStore.at(path)
    mark, _ = await store.read_news(None)
    for letter in (b"a", b"b", b"c"):
        await store.add_submission(ticket(letter))
        await deliver(store, letter, arrival(task_id=letter.decode()))

    found = set()
    while len(found) < 3:
        mark, records = await store.read_news(mark)
        found |= {one.known_task_id for one in records}
    assert found == {"a", "b", "c"}
    store.close()


async def test_the_file_is_private_and_durable(path) -> None:
    """Captions are personal data; WAL and FULL are what an acknowledgement rests on."""
    store = SqliteStore.at(path)
    await store.get_secret()

    files = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm")]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in files}
    assert modes == {0o600}
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    assert store.database.write_now(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)
    store.close()


def test_without_a_path_the_users_own_file_is_used(tmp_path, monkeypatch) -> None:
    """Every program of a user that names nothing shares one file, in a private folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    store = Receiver("https://x.example").store

    assert str(store) == str(tmp_path / "state" / "memories_async" / "callbacks.db")
    assert stat.S_IMODE((tmp_path / "state" / "memories_async").stat().st_mode) == 0o700
    monkeypatch.delenv("XDG_STATE_HOME")
    assert _sqlite_store.default_path().match(".local/state/memories_async/callbacks.db")


async def test_a_ledgers_file_is_shared_and_left_open(path) -> None:
    """The receiver adds its tables to the ledger's file, and leaves it to the ledger to close it."""
    ledger = Ledger(path)
    receiver = Receiver("https://x.example", store=ledger)

    await receiver.store.get_secret()
    receiver.close()

    assert receiver._open().ledger is ledger
    assert str(receiver.store) == str(path)
    assert any(thread.name == "memories_async database" for thread in threading.enumerate())
    ledger.close()


def test_a_store_is_used_as_it_is() -> None:
    """Any object with the methods of a store will do; a receiver with a path has no ledger."""
    store = MemoryStore()

    assert isinstance(store, CallbackStore)
    assert Receiver("https://x.example", store=store).store is store
    assert Receiver("https://x.example", store="x.db")._open().ledger is None
    assert "process" in str(store)


async def test_a_store_that_cannot_be_used_says_so_before_anything_is_served(tmp_path) -> None:
    """A missing folder is found when serving starts, not at the first delivery."""
    receiver = Receiver("https://x.example", store=tmp_path / "missing" / "x.db")

    with pytest.raises(DatabaseFailed, match="missing"):
        async with receiver.serve():
            pass
