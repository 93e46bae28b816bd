"""The file of a database: private, of a known schema, and refused with advice otherwise."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest
from names import NAMES, count, insert, written

from memories_async._database import database as databases
from memories_async._database import file as database_file
from memories_async._database.file import DatabaseFailed, Schema
from memories_async._database.sqlite import SqliteDatabase


def test_a_full_disk_fails_every_write_until_there_is_room(database, path) -> None:
    """A write that does not fit is not acknowledged; once there is room, writes succeed."""

    def limit(db):
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")

    database.write_now(limit)
    with pytest.raises(DatabaseFailed, match="the disk is full") as caught:
        database.write_now(insert("x" * 100_000))
    assert caught.value.billed == "no"

    # The failure closed the connection, and the limit is the connection's.
    assert database.write_now(insert("x" * 100_000)) == 1
    assert written(path) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_refused(database, path) -> None:
    """A write raises `DatabaseFailed`."""
    database.write_now(insert("a"))
    database.close()
    path.chmod(0o400)

    with pytest.raises(DatabaseFailed, match=r"read-only|Permission denied"):
        database.write_now(insert("b"))


def test_the_error_for_a_missing_folder_names_the_path(tmp_path) -> None:
    """For reads and for writes."""
    database = SqliteDatabase(tmp_path / "missing" / "x.db")

    for use in (database.write_now, database.read_now):
        with pytest.raises(DatabaseFailed, match=r"missing.x\.db"):
            use(count)
    database.close()


def test_writing_to_a_removed_file_is_an_error(database, path) -> None:
    """No other process could read what is committed to a file without a name."""
    database.write_now(insert("a"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()

    for _ in range(3):
        with pytest.raises(DatabaseFailed, match="removed or replaced"):
            database.write_now(insert("b"))
    assert not path.exists(), "an empty file in its place would know nothing"
    database.close()
    database.write_now(insert("c"))
    assert written(path) == 1


def test_a_foreign_file_is_refused_and_left_unchanged(tmp_path) -> None:
    """Another program's database, and a file that is no database."""
    text, alien = tmp_path / "notes.txt", tmp_path / "alien.db"
    text.write_bytes(b"not a database, but quite long enough to be taken for one" * 100)
    with sqlite3.connect(alien) as file:
        file.execute("CREATE TABLE theirs (x)")
    file.close()

    for path, words in ((text, "not a database"), (alien, "another program's")):
        before = path.read_bytes()
        database = SqliteDatabase(path, schemas=(NAMES,))
        with pytest.raises(DatabaseFailed, match=words):
            database.write_now(insert("a"))
        database.close()
        assert path.read_bytes()[100:] == before[100:]


def test_the_error_for_a_damaged_file_gives_advice(database, path) -> None:
    """Unreadable pages raise `DatabaseFailed`."""
    database.write_now(lambda db: db.executemany("INSERT INTO names VALUES (?)", _many()))
    database.close()
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + b"\xff" * (len(content) - 4_096))

    with pytest.raises(DatabaseFailed, match="damaged"):
        database.read_now(lambda db: db.execute("SELECT * FROM names").fetchall())


def _many():
    return [(f"name {n}",) for n in range(3_000)]


def test_an_older_schema_is_backed_up_and_upgraded(database, path) -> None:
    """The rows are kept; the backup has the old schema and mode 0600."""
    database.write_now(insert("kept"))
    database.close()
    newer = Schema("names", (*NAMES.steps, ("ALTER TABLE names ADD COLUMN born REAL",)))

    updated = SqliteDatabase(path, schemas=(newer,))
    assert updated.read_now(lambda db: db.execute("SELECT * FROM names").fetchall()) == [
        ("kept", None)
    ]
    updated.close()

    copy = path.with_name(f"{path.name}.names-1.bak")
    assert written(copy) == 1
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DatabaseFailed, match="written by a newer"):
        database.write_now(insert("by an older version"))


def test_two_schemas_share_a_file(database) -> None:
    """A schema that is included later gets its tables beside the first one's."""
    database.write_now(insert("a"))
    other = Schema("more", (("CREATE TABLE more (x)",),))

    database.include(other)
    database.include(other)

    assert database.write_now(lambda db: db.execute("INSERT INTO more VALUES (1)").rowcount) == 1
    assert database.read_now(count) == 1


def test_network_file_systems_are_refused(path, tmp_path, monkeypatch) -> None:
    """The longest mount point decides; without a mount table nothing is refused."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda rw\n"
        f"40 22 0:50 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
    )
    mounts = database_file._read_mounts
    monkeypatch.setattr(database_file, "_read_mounts", lambda: mounts(table))
    with pytest.raises(DatabaseFailed, match="nfs4 is a network file system"):
        SqliteDatabase(path).write_now(count)

    monkeypatch.setattr(database_file, "_read_mounts", lambda: mounts(tmp_path / "nothing"))
    database = SqliteDatabase(path, schemas=(NAMES,))
    assert database.write_now(count) == 0
    database.close()


def test_a_file_locked_too_long_is_an_error(database, path, monkeypatch) -> None:
    """A write fails once it has waited for `PATIENCE`."""
    monkeypatch.setattr(database_file, "PATIENCE", 0.01)
    database.write_now(insert("a"))
    with sqlite3.connect(path, isolation_level=None) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseFailed, match="locked"):
            database.write_now(insert("b"))
        neighbour.execute("ROLLBACK")
    neighbour.close()

    assert database.write_now(insert("b")) == 1


def test_exit_closes_every_open_database(database, path) -> None:
    """No side files are left."""
    database.write_now(insert("a"))

    databases.close_all()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_database_pickles_as_its_path(database) -> None:
    """The copy opens the same file, and no other."""
    database.write_now(insert("a"))
    twin = pickle.loads(pickle.dumps(database))

    assert twin.read_now(count) == 1
    twin.close()


def test_a_program_that_never_closes_leaves_no_side_files(path) -> None:
    """The file is closed at exit."""
    script = (
        "import sys; from memories_async._database.sqlite import SqliteDatabase\n"
        "SqliteDatabase(sys.argv[1]).write_now(lambda db: None)"
    )

    subprocess.run([sys.executable, "-X", "dev", "-c", script, str(path)], check=True)

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_is_private_whatever_the_umask(path) -> None:
    """Also where the umask would take the owner's own rights away, and where an empty file exists."""
    before = os.umask(0o777)
    try:
        with closing_database(path) as database:
            database.write_now(insert("a"))
            assert modes(path) == {0o600}
        loose = path.with_name("loose.db")
        os.umask(0)
        loose.touch(0o666)
        with closing_database(loose) as database:
            database.write_now(insert("a"))
            assert modes(loose) == {0o600}
    finally:
        os.umask(before)


@contextmanager
def closing_database(path):
    database = SqliteDatabase(path, schemas=(NAMES,))
    yield database
    database.close()


def modes(path) -> set[int]:
    """The modes of the file and its side files."""
    return {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(f"{path.name}*")}


def test_a_link_is_followed_when_the_database_is_built(database, path, tmp_path) -> None:
    """So that all processes name the file alike."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.db").symlink_to("two.db")
    (folder / "two.db").symlink_to(path)
    (tmp_path / "other").symlink_to(folder)

    assert SqliteDatabase(tmp_path / "other" / "one.db").path == path.resolve()


def test_another_users_link_or_file_in_an_open_folder_is_refused(tmp_path, monkeypatch) -> None:
    """It could lead this user's prompts and answers elsewhere."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link.db").symlink_to(tmp_path / "target.db")
    (shared / "file.db").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert SqliteDatabase(shared / "link.db").path == (tmp_path / "target.db").resolve()

    shared.chmod(0o1777)
    if os.getuid() == 0:  # root's links are everybody's
        os.chown(shared / "link.db", 54_321, -1, follow_symlinks=False)
        os.chown(shared / "file.db", 54_321, -1)
    with pytest.raises(DatabaseFailed, match="another user's link"):
        SqliteDatabase(shared / "link.db")
    with pytest.raises(DatabaseFailed, match="another user's file"):
        SqliteDatabase(shared / "file.db").write_now(count)


def test_a_file_with_a_second_name_is_refused(database, path) -> None:
    """SQLite's log goes by the name, so two processes would not see each other."""
    database.write_now(insert("a"))
    database.close()
    path.with_name("second.db").hardlink_to(path)

    with pytest.raises(DatabaseFailed, match="hard links"):
        database.write_now(insert("b"))


def test_an_unpickled_database_refuses_a_missing_file(database, path) -> None:
    """An empty one in its place would know nothing, so none is created."""
    pickled = pickle.dumps(database)
    database.close()
    path.unlink()

    with pytest.raises(DatabaseFailed, match="no such file on this machine"):
        pickle.loads(pickled).write_now(count)
    assert not path.exists()


def test_an_unpickled_database_refuses_another_file(database, path) -> None:
    """Another file of the same name, and a file that was touched."""
    pickled = pickle.dumps(database)
    database.close()
    path.unlink()
    with closing_database(path) as other:
        other.write_now(insert("theirs"))
    twin = pickle.loads(pickled)
    with pytest.raises(DatabaseFailed, match="another file than"):
        twin.write_now(count)
    assert written(path) == 1

    path.unlink()
    path.touch()
    with pytest.raises(DatabaseFailed, match="another file than"):
        twin.write_now(count)


def test_a_file_of_the_first_version_is_given_an_id(path) -> None:
    """Files written before have none."""
    with closing_database(path) as database:
        database.write_now(lambda db: db.execute("DROP TABLE file"))
        database.close()
        assert len(database.file_id()) == 16
        assert database.file_id() == database.file_id()
