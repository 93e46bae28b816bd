"""The limiter of one machine: what the file must withstand."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pickle
from pathlib import Path

import pytest
from limiters import bucket

from memories_async import FileLimiter
from memories_async.limiter import _file as module
from memories_async.limiter._file import FileStore, clock_name, since_boot
from memories_async.limiter._rule import Word
from memories_async.limiter._store import StoreDown

ASK = Word(member="a", wants=(1, 0))


@pytest.fixture
def path(tmp_path):
    """A file that is not there yet."""
    return str(tmp_path / "account.limiter")


def test_a_restarted_program_keeps_to_the_rate(path):
    """A crash loop cannot burst: the file knows of the permit before."""
    first = FileStore(path).exchange(bucket(1), ASK)
    second = FileStore(path).exchange(bucket(1), Word(member="b", wants=(1, 0)))

    assert first.granted is not None
    assert second.granted is None
    assert second.again == pytest.approx(1.0, abs=0.1)


def test_a_restarted_machine_keeps_to_the_rate(path):
    """Its clock begins anew: no time has passed, as far as the file can know."""
    FileStore(path, clock=lambda: 5000.0, clock_name=lambda: "before").exchange(
        bucket(1, per=60), ASK
    )
    after = FileStore(path, clock=lambda: 9000.0, clock_name=lambda: "after")
    answer = after.exchange(bucket(1, per=60), Word(member="b", wants=(1, 0)))

    assert answer.granted is None
    assert answer.again == pytest.approx(61.2, abs=0.1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"# my notes\n", "damaged"),
        (b"[]", "damaged"),
        (b'{"format": "memories_async limiter 1"}', "damaged"),
        (b'{"some": "json"}', "not a file of this library"),
        (b'{"format": "memories_async limiter 1", "buckets": {"x": 3}, "clock": ""}', "damaged"),
    ],
)
def test_a_file_that_is_not_the_paces_is_left_alone(path, content, reason):
    """It is somebody's; the store counts as down."""
    Path(path).write_bytes(content)
    with pytest.raises(StoreDown, match=reason):
        FileStore(path).exchange(bucket(), ASK)

    assert Path(path).read_bytes() == content


def test_a_folder_that_is_missing_is_said(tmp_path):
    """By its path."""
    with pytest.raises(StoreDown, match="No such file"):
        FileStore(str(tmp_path / "no" / "account.limiter")).exchange(bucket(), ASK)


def test_a_lock_that_is_never_let_go_counts_as_down(path, monkeypatch):
    """Nobody waits for a stopped process for ever."""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with Path(path).open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(StoreDown, match="does not let go"):
            FileStore(path).exchange(bucket(), ASK)


def test_a_file_removed_while_waiting_for_it_is_made_anew(path, monkeypatch):
    """A permit is never noted in a file that nobody else can see."""
    store, real = FileStore(path), FileStore._lock
    removed = []

    def lock(self, file, until):
        if not removed:
            removed.append(Path(path).unlink())
        return real(self, file, until)

    monkeypatch.setattr(FileStore, "_lock", lock)
    store.exchange(bucket(), ASK)

    assert len(store.look()[1]) == 1


def test_a_disk_that_is_full_counts_as_down(path, monkeypatch):
    """The permit was not noted, so it was not given."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreDown, match="No space left"):
        FileStore(path).exchange(bucket(), ASK)


def test_buckets_that_nobody_uses_are_dropped_after_a_day(path):
    """The file does not grow."""
    FileStore(path, clock=lambda: 1000.0).exchange(bucket(), ASK)
    FileStore(path, clock=lambda: 200_000.0).exchange(bucket(family="captions"), ASK)
    buckets = json.loads(Path(path).read_bytes())["buckets"]

    assert [*buckets] == ["f00d@http://127.0.0.1 captions"]


def test_the_clock_is_the_machines():
    """It runs on whatever the calendar does, and a boot has a name."""
    assert since_boot() <= since_boot()
    assert clock_name() == clock_name()


def test_no_boot_is_named_where_the_system_tells_none(monkeypatch):
    """Then a clock that went back is the sign."""
    monkeypatch.setattr(module, "Path", lambda _: _Missing())
    assert clock_name.__wrapped__() == ""


class _Missing:
    def read_text(self, _):
        raise FileNotFoundError


def test_the_limiter_pickles_as_its_path(path):
    """In another process it is the same file's; here it shares one clerk."""
    limiter = FileLimiter(path, account="acme")
    other = pickle.loads(pickle.dumps(limiter))

    assert repr(other) == f"FileLimiter({path!r})"
    assert other._clerk is limiter._clerk
    assert other._named(bucket()).account == "acme"


def test_what_is_in_force_is_said(path):
    """Per bucket: who works, who waits, how slowly, and until when."""
    limiter = FileLimiter(path)

    async def work():
        async with limiter.permit(bucket(1)):
            return limiter.describe()

    said = asyncio.run(work())
    (state,) = said.buckets
    assert (said.store, said.where, said.fault) == ("file", path, None)
    assert (state.family, state.busy, state.waiting, state.slowness) == ("search", 1, 0, 1.0)
    assert 0.5 < state.wait <= 1.02


def test_a_fault_is_said_too(tmp_path):
    """Instead of buckets."""
    said = FileLimiter(tmp_path / "no" / "limiter").describe()

    assert "No such file" in said.fault
    assert said.buckets == ()


def test_two_keys_of_one_account_share_its_buckets(path):
    """Where the account is named."""
    limiter = FileLimiter(path, account="acme")

    async def work():
        async with limiter.permit(bucket(1)):
            await limiter.pause(bucket(1), 0.5)
            await asyncio.sleep(0.05)
            return limiter.describe()

    (state,) = asyncio.run(work()).buckets
    assert state.account == "acme"
    assert state.slowness == 2.0
