"""The database: an acknowledged write is on the disk, with any number of writers and any failure."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from names import NAMES, count, insert, written

from memories_async._database import database as databases
from memories_async._database import group_commit
from memories_async._database.file import DatabaseFailed
from memories_async._database.sqlite import SqliteDatabase


async def test_writes_share_commits_and_each_returns_its_own_value(database, path) -> None:
    """A thousand concurrent writes return their own values, and all rows are in the file."""
    answers = await asyncio.gather(*(database.write(insert(f"{n}")) for n in range(1_000)))

    assert answers == [1] * 1_000
    assert written(path) == await database.read(count) == 1_000


async def test_a_failing_write_is_rolled_back_alone(database, path) -> None:
    """The other writes of the group are kept, and its error is raised to its own caller."""

    def insert_and_fail(db):
        insert("torn")(db)
        raise LookupError("its own")

    results = await asyncio.gather(
        database.write(insert("a")),
        database.write(insert_and_fail),
        database.write(insert("a")),
        database.write(lambda db: db.execute("nonsense")),
        database.write(insert("b")),
        return_exceptions=True,
    )

    kinds = [int, LookupError, sqlite3.IntegrityError, DatabaseFailed, int]
    assert [type(one) for one in results] == kinds
    assert written(path) == 2


async def test_a_cancelled_write_still_happens(database) -> None:
    """Cancelling the wait does not cancel the write."""
    write = asyncio.create_task(database.write(insert("shielded")))
    await asyncio.sleep(0)

    write.cancel()
    await asyncio.gather(write, return_exceptions=True)

    assert await database.write(count) == 1


def test_threads_and_loops_share_a_database(database) -> None:
    """Blocking threads and threads with event loops write at the same time."""

    def through_a_loop(n):
        return asyncio.run(database.write(insert(f"loop {n}")))

    with ThreadPoolExecutor(8) as threads:
        blocking = threads.map(lambda n: database.write_now(insert(f"{n}")), range(50))
        looping = threads.map(through_a_loop, range(8))
        assert sum(blocking) + sum(looping) == 58
    assert database.read_now(count) == 58


def test_a_closed_loop_does_not_stop_the_writer(database) -> None:
    """A result whose loop is closed is dropped."""
    started, go_on = threading.Event(), threading.Event()

    def slow(_):
        started.set()
        go_on.wait(5)

    async def leave():
        task = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(started.wait)
        task.cancel()

    asyncio.run(leave())
    go_on.set()

    assert database.write_now(insert("after")) == 1


def test_a_closed_database_is_opened_again_at_its_next_use(database) -> None:
    """Closing twice is harmless."""
    database.write_now(insert("a"))
    database.close()
    database.close()

    assert database.read_now(count) == 1
    assert database.write_now(insert("b")) == 1


def test_every_commit_changes_the_version(database, path) -> None:
    """The version changes with the commits of this and of other processes, and only with them."""
    other = SqliteDatabase(path, schemas=(NAMES,))
    first = database.version()
    assert database.version() == first

    other.write_now(insert("theirs"))
    second = database.version()
    database.write_now(insert("ours"))

    assert len({first, second, database.version()}) == 3
    other.close()


def test_two_writing_processes_both_finish(database, path) -> None:
    """Neither is starved though both write as fast as they can."""
    script = (
        "import sys; from memories_async._database.sqlite import SqliteDatabase\n"
        "database = SqliteDatabase(sys.argv[1])\n"
        "for n in range(300): database.write_now("
        "lambda db: db.execute('INSERT INTO names VALUES (?)', (f'{sys.argv[2]} {n}',)))\n"
        "database.close()"
    )
    database.write_now(insert("first"))

    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in ("a", "b")
    ]

    assert [process.wait(60) for process in processes] == [0, 0]
    assert database.read_now(count) == 601


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_writing_is_harmless(database, path) -> None:
    """Parent and child go on, each with its own connection and writer thread."""
    stop = threading.Event()
    written_by_thread = []

    def keep_writing():
        while not stop.is_set():
            written_by_thread.append(database.write_now(insert(f"t{len(written_by_thread)}")))

    thread = threading.Thread(target=keep_writing)
    thread.start()
    statuses = []
    for n in range(5):
        child = os.fork()
        if child == 0:  # pragma: no cover  # another process
            ok = database.write_now(insert(f"child {n}")) == 1 and database.read_now(count) > 0
            os._exit(0 if ok else 1)
        statuses.append(os.waitpid(child, 0)[1])
    stop.set()
    thread.join()

    assert statuses == [0] * 5
    assert written(path) == 5 + sum(written_by_thread)


def test_a_failed_read_is_raised_and_the_next_one_works(database) -> None:
    """The next read opens the file again."""
    database.write_now(insert("a"))

    with pytest.raises(DatabaseFailed, match="no such table"):
        database.read_now(lambda db: db.execute("SELECT * FROM missing"))
    assert database.read_now(count) == 1


def test_the_file_is_closed_around_a_fork(database, path) -> None:
    """SQLite's locks do not survive a fork, so parent and child open the file again."""
    for go_on in (databases.resume_all, databases.reset_all_in_child):
        database.write_now(lambda db: None)
        database.close()
        databases.pause_all()
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        go_on()

        assert database.write_now(count) == 0
        assert not databases._paused


async def test_a_group_is_bounded(database, monkeypatch) -> None:
    """A steady stream of writes does not put a commit off."""
    monkeypatch.setattr(group_commit, "GROUP", 3)

    await asyncio.gather(*(database.write(insert(f"{n}")) for n in range(20)))

    assert database.read_now(count) == 20
