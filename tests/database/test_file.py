"""The database's file: private, durable, of a known schema, and refused with advice where it is not."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys

import pytest
from names import NAMES, count, insert, written

from memories_async._database import database as databases
from memories_async._database import file as journal_file
from memories_async._database.database import Database
from memories_async._database.file import DatabaseFailed, Schema


def test_a_full_disk_is_told_to_everybody_and_gets_over(database, path) -> None:
    """No write is acknowledged that does not fit; once there is room, writing goes on."""

    def limit(db):
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")

    database.write_now(limit)
    with pytest.raises(DatabaseFailed, match="the disk is full") as caught:
        database.write_now(insert("x" * 100_000))
    assert caught.value.billed == "no"

    # The failure let go of the connection, and with it of the limit.
    assert database.write_now(insert("x" * 100_000)) == 1
    assert written(path) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_refused(database, path) -> None:
    """Nothing is sent on account of a record that cannot be kept."""
    database.write_now(insert("a"))
    database.close()
    path.chmod(0o400)

    with pytest.raises(DatabaseFailed, match=r"read-only|Permission denied"):
        database.write_now(insert("b"))


def test_a_missing_folder_is_named(tmp_path) -> None:
    """The path is in the message, for reads and for writes."""
    database = Database(tmp_path / "missing" / "x.db")

    for attempt in (database.write_now, database.read_now):
        with pytest.raises(DatabaseFailed, match=r"missing.x\.db"):
            attempt(count)
    database.close()


def test_a_file_that_went_away_is_noticed(database, path) -> None:
    """Commits to a file that nobody finds again are no record."""
    database.write_now(insert("a"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()

    with pytest.raises(DatabaseFailed, match="removed or replaced"):
        database.write_now(insert("b"))


def test_what_is_no_journal_is_left_alone(tmp_path) -> None:
    """Another program's database, and what is no database, are refused unchanged."""
    text, alien = tmp_path / "notes.txt", tmp_path / "alien.db"
    text.write_bytes(b"not a database, but quite long enough to be taken for one" * 100)
    with sqlite3.connect(alien) as file:
        file.execute("CREATE TABLE theirs (x)")
    file.close()

    for path, words in ((text, "not a database"), (alien, "another program's")):
        before = path.read_bytes()
        database = Database(path, (NAMES,))
        with pytest.raises(DatabaseFailed, match=words):
            database.write_now(insert("a"))
        database.close()
        assert path.read_bytes()[100:] == before[100:]


def test_a_damaged_file_says_what_to_do(database, path) -> None:
    """Rows that cannot be read are an error with advice, not a crash."""
    database.write_now(lambda db: db.executemany("INSERT INTO names VALUES (?)", _many()))
    database.close()
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + b"\xff" * (len(content) - 4_096))

    with pytest.raises(DatabaseFailed, match="damaged"):
        database.read_now(lambda db: db.execute("SELECT * FROM names").fetchall())


def _many():
    return [(f"name {n}",) for n in range(3_000)]


def test_an_older_schema_is_backed_up_and_brought_up_to_date(database, path) -> None:
    """The rows stay, the copy has the old form and is private."""
    database.write_now(insert("kept"))
    database.close()
    newer = Schema("names", (*NAMES.steps, ("ALTER TABLE names ADD COLUMN born REAL",)))

    updated = Database(path, (newer,))
    assert updated.read_now(lambda db: db.execute("SELECT * FROM names").fetchall()) == [
        ("kept", None)
    ]
    updated.close()

    copy = path.with_name(f"{path.name}.names-1.bak")
    assert written(copy) == 1
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DatabaseFailed, match="written by a newer"):
        database.write_now(insert("by an older version"))


def test_parts_share_a_file(database) -> None:
    """A part that joins later finds its tables beside the others'."""
    database.write_now(insert("a"))
    other = Schema("more", (("CREATE TABLE more (x)",),))

    database.include(other)
    database.include(other)

    assert database.write_now(lambda db: db.execute("INSERT INTO more VALUES (1)").rowcount) == 1
    assert database.read_now(count) == 1


def test_network_file_systems_are_refused(path, tmp_path, monkeypatch) -> None:
    """The longest mount point decides; where there is no table of mounts nothing is refused."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda rw\n"
        f"40 22 0:50 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
    )
    mounts = journal_file._mounts
    monkeypatch.setattr(journal_file, "_mounts", lambda: mounts(table))
    with pytest.raises(DatabaseFailed, match="nfs4 is a network file system"):
        Database(path).write_now(count)

    monkeypatch.setattr(journal_file, "_mounts", lambda: mounts(tmp_path / "nothing"))
    database = Database(path, (NAMES,))
    assert database.write_now(count) == 0
    database.close()


def test_a_neighbour_that_never_ends_is_an_error(database, path, monkeypatch) -> None:
    """After the patience is over the caller learns that the file is locked."""
    monkeypatch.setattr(journal_file, "PATIENCE", 0.01)
    database.write_now(insert("a"))
    with sqlite3.connect(path, isolation_level=None) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseFailed, match="locked"):
            database.write_now(insert("b"))
        neighbour.execute("ROLLBACK")
    neighbour.close()

    assert database.write_now(insert("b")) == 1


def test_what_is_open_at_exit_is_closed(database, path) -> None:
    """All databases of the process let go of their files."""
    database.write_now(insert("a"))

    databases._close_all()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_it_pickles_as_its_path(database) -> None:
    """Another process opens the same file."""
    database.write_now(insert("a"))
    twin = pickle.loads(pickle.dumps(database))

    assert twin.read_now(count) == 1
    twin.close()


def test_the_file_is_closed_cleanly_at_exit(path) -> None:
    """A program that forgets to close leaves no side files."""
    script = (
        "import sys; from memories_async._database.database import Database\n"
        "Database(sys.argv[1]).write_now(lambda db: None)"
    )

    subprocess.run([sys.executable, "-X", "dev", "-c", script, str(path)], check=True)

    assert [file.name for file in path.parent.iterdir()] == [path.name]
