"""The database: what it acknowledged is on the disk, whoever writes and whatever fails."""

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
from memories_async._database.database import Database
from memories_async._database.file import DatabaseFailed


async def test_writes_share_commits_and_each_gets_its_answer(database, path) -> None:
    """Many at once come back with their own values, and are all there."""
    answers = await asyncio.gather(*(database.write(insert(f"{n}")) for n in range(1_000)))

    assert answers == [1] * 1_000
    assert written(path) == await database.read(count) == 1_000


async def test_a_failing_write_undoes_itself_alone(database, path) -> None:
    """Its neighbours in the group are kept, and its error is raised where it came from."""

    def insert_and_fail(db):
        insert("torn")(db)
        raise LookupError("of its own")

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


async def test_a_write_that_was_begun_happens(database) -> None:
    """Cancelling the wait does not undo what was asked."""
    write = asyncio.create_task(database.write(insert("shielded")))
    await asyncio.sleep(0)

    write.cancel()
    await asyncio.gather(write, return_exceptions=True)

    assert await database.write(count) == 1


def test_threads_and_loops_share_it(database) -> None:
    """Blocking threads, and threads with loops of their own, at the same time."""

    def through_a_loop(n):
        return asyncio.run(database.write(insert(f"loop {n}")))

    with ThreadPoolExecutor(8) as threads:
        blocking = threads.map(lambda n: database.write_now(insert(f"{n}")), range(50))
        looping = threads.map(through_a_loop, range(8))
        assert sum(blocking) + sum(looping) == 58
    assert database.read_now(count) == 58


def test_a_loop_that_ended_does_not_stop_the_writer(database) -> None:
    """An answer that nobody can take any more is dropped."""
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


def test_it_is_opened_again_after_closing(database) -> None:
    """Closing twice is harmless, and the next use opens."""
    database.write_now(insert("a"))
    database.close()
    database.close()

    assert database.read_now(count) == 1
    assert database.write_now(insert("b")) == 1


def test_every_commit_is_noticed(database, path) -> None:
    """The version changes with commits of this and of other databases, and only then."""
    other = Database(path, (NAMES,))
    first = database.version()
    assert database.version() == first

    other.write_now(insert("theirs"))
    second = database.version()
    database.write_now(insert("ours"))

    assert len({first, second, database.version()}) == 3
    other.close()


def test_processes_take_turns(database, path) -> None:
    """Two processes that write as fast as they can both come to their end."""
    script = (
        "import sys; from memories_async._database.database import Database\n"
        "database = Database(sys.argv[1])\n"
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
    """Parent and child go on, each with a connection and a thread of its own."""
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


def test_a_read_that_fails_is_told_and_gets_over(database) -> None:
    """The next read opens the file again."""
    database.write_now(insert("a"))

    with pytest.raises(DatabaseFailed, match="no such table"):
        database.read_now(lambda db: db.execute("SELECT * FROM missing"))
    assert database.read_now(count) == 1


def test_around_a_fork_the_file_is_closed(database, path) -> None:
    """SQLite's locks do not survive a fork, so both sides open anew."""
    for go_on in (databases._let_all_go_on, databases._start_afresh):
        database.write_now(lambda db: None)
        database.close()
        databases._hold_all()
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        go_on()

        assert database.write_now(count) == 0
        assert not databases._held


async def test_a_group_has_an_end(database, monkeypatch) -> None:
    """However many wait, a commit is not put off for ever."""
    monkeypatch.setattr(group_commit, "GROUP", 3)

    await asyncio.gather(*(database.write(insert(f"{n}")) for n in range(20)))

    assert database.read_now(count) == 20
