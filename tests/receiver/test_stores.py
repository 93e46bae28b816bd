"""The stores in memory, in a file and in PostgreSQL behave alike."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading

import pytest
from attrs import evolve

from memories_async import Receiver
from memories_async._database.file import DatabaseFailed, Schema
from memories_async._database.sqlite import SqliteDatabase
from memories_async.ledger import Ledger
from memories_async.receiver import (
    CallbackDelivery,
    CallbackStore,
    MemoryStore,
    SqliteStore,
    Submission,
    Verdict,
    _schema,
    _sqlite_store,
)

DAY = 86_400.0


def make_submission(letter: bytes, key=None) -> Submission:
    return Submission(id=letter * 16, call="captions.upload", key=key, issued_at=100.0)


def make_delivery(what="one", task_id="t1", *, final=True) -> CallbackDelivery:
    return CallbackDelivery(task_id=task_id, final=final, body=f'"{what}"'.encode(), at=101.0)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, path):
    if request.param == "postgres":
        path = request.getfixturevalue("postgres").url()
    made = MemoryStore() if request.param == "memory" else SqliteStore.at(path)
    yield made
    made.close()


async def deliver(store, letter: bytes, *deliveries) -> list[Verdict]:
    return [(await store.add_delivery(letter * 16, one, accept_for=DAY))[0] for one in deliveries]


async def test_a_submission_is_found_with_its_callbacks(store) -> None:
    """By its id, and by the task's, whether the reply or the callback named it."""
    await store.add_submission(make_submission(b"a", key="k"))
    await store.add_submission(make_submission(b"b"))
    await store.set_task(b"a" * 16, "t1")
    assert await deliver(store, b"a", make_delivery()) == [Verdict.STORED]
    assert await deliver(store, b"b", make_delivery(task_id="t2")) == [Verdict.STORED]

    record = await store.find("t1")
    assert record == await store.find(b"a" * 16)
    assert (record.submission, record.outcome) == (make_submission(b"a", key="k"), make_delivery())
    assert (await store.find("t2")).submission.id == b"b" * 16
    assert await store.find("t3") is None
    assert await store.find(b"c" * 16) is None


async def test_concurrent_callbacks_are_judged_one_after_the_other(store) -> None:
    """One is stored first, and the others are judged against it."""
    await store.add_submission(make_submission(b"a"))

    verdicts = await asyncio.gather(
        *(
            store.add_delivery(b"a" * 16, make_delivery(f"{n % 3}"), accept_for=DAY)
            for n in range(9)
        )
    )

    seen = [verdict for verdict, _ in verdicts]
    assert seen.count(Verdict.STORED) == 1
    assert seen.count(Verdict.CONFLICTING) == 2
    assert seen.count(Verdict.REPEATED) == 6
    assert await deliver(store, b"z", make_delivery()) == [Verdict.REJECTED]


async def test_records_that_need_reconciling_are_listed(store) -> None:
    """Those with a ledger entry and a callback, until they are marked."""
    await store.add_submission(make_submission(b"a", key="k"))
    await store.add_submission(make_submission(b"b"))
    assert await store.list_unreconciled() == ()
    await deliver(store, b"a", make_delivery())
    await deliver(store, b"b", make_delivery(task_id="t2"))

    assert [record.submission.key for record in await store.list_unreconciled()] == ["k"]
    await store.mark_reconciled(b"a" * 16)
    assert await store.list_unreconciled() == ()


async def test_the_secret_is_drawn_once(store) -> None:
    """All receivers on a store sign with the same secret."""
    assert len(await store.get_secret()) == 32
    assert await store.get_secret() == await store.get_secret()


async def test_news_are_what_other_processes_stored(place) -> None:
    """Each callback is read once; none from before the first reading, and nothing if none came."""
    here, there = SqliteStore.at(place), SqliteStore.at(place)
    await there.add_submission(make_submission(b"a"))
    await deliver(there, b"a", make_delivery("early"))
    mark, records = await here.read_news(None)
    assert records == ()

    assert (await here.read_news(mark))[1] == ()
    await deliver(there, b"a", make_delivery("later"))
    mark, records = await here.read_news(mark)
    assert [one.deliveries[-1].body for one in records] == [b'"later"']
    assert (await here.read_news(mark))[1] == ()
    here.close()
    there.close()


async def test_a_repeated_callback_is_news(place) -> None:
    """Nothing new is stored of it, but a waiter in another process may need to look again."""
    here, there = SqliteStore.at(place), SqliteStore.at(place)
    await there.add_submission(make_submission(b"a"))
    await deliver(there, b"a", make_delivery())
    mark, _ = await here.read_news(None)

    assert await deliver(there, b"a", make_delivery()) == [Verdict.REPEATED]

    mark, (record,) = await here.read_news(mark)
    assert (len(record.deliveries), record.final_callbacks) == (1, 2)
    here.close()
    there.close()


async def test_a_delivery_is_read_as_it_was_stored(store) -> None:
    """With its bytes, its content type and what was read of it."""
    await store.add_submission(make_submission(b"a"))
    body = '{"task_id": "t1", "data": "\u00e9"}'.encode("latin-1")
    delivery = CallbackDelivery.read(body, content_type="a/b; charset=latin-1", at=102.5)
    await deliver(store, b"a", delivery)

    assert (await store.find("t1")).deliveries == (delivery,)


async def test_a_file_of_the_first_version_is_upgraded(path) -> None:
    """Its callbacks are found, and counted."""
    first = Schema("receiver", _schema.SCHEMA.steps[:1])
    old = SqliteDatabase(path, schemas=(first,))
    for statement in (
        "INSERT INTO callbacks (id, call, issued_at, task_id) VALUES (x'61', 'c', 1.0, 't1')",
        "INSERT INTO deliveries (id, task_id, final, body, at) VALUES (x'61', 't1', 1, '{}', 2.0)",
    ):
        old.write_now(lambda db, statement=statement: db.execute(statement))
    old.close()

    store = SqliteStore.at(path)
    record = await store.find("t1")
    assert (record.final_callbacks, record.outcome.content_type) == (1, "")
    store.close()


async def test_a_file_of_the_second_version_is_upgraded(path) -> None:
    """Its submissions have no tag; new ones keep theirs."""
    second = Schema("receiver", _schema.SCHEMA.steps[:2])
    old = SqliteDatabase(path, schemas=(second,))
    old.write_now(
        lambda db: db.execute(
            "INSERT INTO callbacks (id, call, issued_at, task_id) VALUES (x'61', 'c', 1.0, 't1')"
        )
    )
    old.close()

    store = SqliteStore.at(path)
    new = evolve(make_submission(b"b"), tag="order 7")
    await store.add_submission(new)

    assert (await store.find("t1")).submission.tag is None
    assert (await store.find(b"b" * 16)).submission == new
    store.close()


async def test_news_are_read_in_pages(place, monkeypatch) -> None:
    """The next page is read though no process has written since."""
    monkeypatch.setattr(_sqlite_store, "NEWS_PAGE", 2)
    store = SqliteStore.at(place)
    mark, _ = await store.read_news(None)
    for letter in (b"a", b"b", b"c"):
        await store.add_submission(make_submission(letter))
        await deliver(store, letter, make_delivery(task_id=letter.decode()))

    found = set()
    while len(found) < 3:
        mark, records = await store.read_news(mark)
        found |= {one.known_task_id for one in records}
    assert found == {"a", "b", "c"}
    store.close()


async def test_the_file_is_private_and_durable(path) -> None:
    """Captions are personal data, and an acknowledgement depends on WAL and FULL."""
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
    """All programs of a user that name no store share one file, in a private folder."""
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


async def test_serving_fails_at_once_if_the_store_cannot_be_used(tmp_path) -> None:
    """A missing folder is noticed when serving starts, not at the first callback."""
    receiver = Receiver("https://x.example", store=tmp_path / "missing" / "x.db")

    with pytest.raises(DatabaseFailed, match="missing"):
        async with receiver.serve():
            pass
