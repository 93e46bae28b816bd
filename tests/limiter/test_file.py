"""The limiter of one machine: what its file must withstand."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pickle
import sys
from pathlib import Path

import pytest
from attrs import evolve
from limiters import bucket

from memories_async import FileLimiter
from memories_async.limiter import _file_store as module
from memories_async.limiter._file_store import RECORD, FileStore, find_clock_name, read_clock
from memories_async.limiter._rule import Request, pause_after_loss
from memories_async.limiter._store import MAX_LEASES, StoreUnavailableError

ASK = Request(member="a", wants=(0, 1, 0))
BEE = Request(member="b", wants=(0, 1, 0))


def exchange(path, where, request, **clock):
    """Ask by a store of its own, as another process does."""
    _, response = FileStore(path, **clock).exchange(where, request, patience=1.0)
    return response


@pytest.fixture
def path(tmp_path):
    """A file that is not there yet."""
    return str(tmp_path / "account.limiter")


def test_a_restarted_program_keeps_to_the_rate(path):
    """A crash loop cannot burst: the file knows of the tick before."""
    first = exchange(path, bucket(1), ASK)
    second = exchange(path, bucket(1), BEE)

    assert first.granted is not None
    assert second.granted is None
    assert second.again == pytest.approx(1.0, abs=0.1)


def test_a_process_sees_what_another_wrote_since(path):
    """It decodes the record of a bucket only if that is not its own latest one."""
    store, limit = FileStore(path), bucket(1000)
    for _ in range(3):
        store.exchange(limit, ASK, patience=1.0)
        exchange(path, limit, Request(member="b", busy=1))
        exchange(path, limit, Request(member="b", pause=9.0, busy=2))
    (state,) = store.read_all()[1].values()
    _, response = store.exchange(limit, ASK, patience=1.0)

    assert state.leases["b"].busy == 2
    assert (state.gcra.slowness, response.granted) == (2.0, None)


def test_a_restarted_machine_keeps_to_the_rate(path):
    """Its clock begins anew: no time has passed, as far as the file can know."""
    before = {"clock": lambda: 5000.0, "clock_name": lambda: "before"}
    exchange(path, bucket(1, per=60), ASK, **before)
    after = {"clock": lambda: 9000.0, "clock_name": lambda: "after"}
    response = exchange(path, bucket(1, per=60), BEE, **after)

    assert response.granted is None
    assert response.again == pytest.approx(61.2, abs=0.1)


@pytest.mark.parametrize("content", [b"# my notes\n", b"[]", b'{"some": "json"}' * 9])
def test_a_file_of_another_kind_is_left_alone(path, content):
    """The limiter does not overwrite it; the store counts as unavailable."""
    Path(path).write_bytes(content)
    with pytest.raises(StoreUnavailableError, match="is not a file of this library"):
        exchange(path, bucket(), ASK)

    assert Path(path).read_bytes() == content


@pytest.mark.parametrize("size", [0, 7, 40, 8192, 9000])
def test_a_file_that_was_cut_off_begins_with_a_pause(path, size):
    """The requests before are unknown: no process is served before a gap has passed."""
    exchange(path, bucket(1), ASK)
    os.truncate(path, size)
    lost, other = exchange(path, bucket(1), BEE), exchange(path, bucket(1, family="captions"), BEE)

    assert (lost.granted, other.granted) == (None, None)
    assert lost.again == pytest.approx(pause_after_loss(bucket(1).limit), abs=0.1)


def test_a_file_full_of_zeros_begins_with_a_pause(path):
    """So does one that a power cut left without its data."""
    exchange(path, bucket(1), ASK)
    Path(path).write_bytes(bytes(Path(path).stat().st_size))

    assert exchange(path, bucket(1), BEE).again > 1.0


def test_a_record_that_is_damaged_begins_with_a_pause(path):
    """Its bucket only: another keeps its state."""
    exchange(path, bucket(1), ASK)
    exchange(path, bucket(1, family="captions"), ASK)
    with Path(path).open("r+b") as file:
        file.seek(RECORD + 300)
        file.write(b"\xff" * 8)

    assert exchange(path, bucket(1), BEE).again > 1.1
    assert exchange(path, bucket(1, family="captions"), BEE).again < 1.1


def test_a_file_that_was_deleted_begins_with_a_pause_for_whoever_used_it(path):
    """A process that has the file open makes another, and notes in it that state was lost."""
    store = FileStore(path)
    store.exchange(bucket(1), ASK, patience=1.0)
    Path(path).unlink()
    _, response = store.exchange(bucket(1), ASK, patience=1.0)

    assert response.again > 1.1
    assert exchange(path, bucket(1, family="captions"), BEE).granted is None


def test_a_member_that_remembers_a_tick_notices_a_new_file(path):
    """Another process, which never used the old file, has created the new one."""
    first = exchange(path, bucket(1), ASK)
    Path(path).unlink()
    response = exchange(path, bucket(1), Request(member="a", wants=(0, 1, 0), known=first.permits))

    assert (response.granted, response.was_lost) == (None, True)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_file_is_private_whatever_the_umask(path, umask):
    """Other users can neither lock it nor read account names."""
    before = os.umask(umask)
    try:
        exchange(path, bucket(), ASK)
    finally:
        os.umask(before)

    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert [*Path(path).parent.iterdir()] == [Path(path)]


def test_the_file_is_never_opened_through_a_link(path, tmp_path):
    """Another user can place one in a shared folder; what it points to is not touched."""
    target = tmp_path / "target"
    target.write_bytes(b"")
    Path(path).symlink_to(target)
    with pytest.raises(StoreUnavailableError, match="link"):
        exchange(path, bucket(), ASK)

    assert target.read_bytes() == b""


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can give a link away")
def test_another_users_link_among_the_folders_is_refused(tmp_path):
    """Its owner could lead the file elsewhere; a link of one's own is followed."""
    shared, target = tmp_path / "shared", tmp_path / "target"
    shared.mkdir()
    target.mkdir()
    (shared / "link").symlink_to(target)
    assert FileLimiter(shared / "link" / "a.limiter").path == str(target.resolve() / "a.limiter")

    shared.chmod(0o1777)
    os.chown(shared / "link", 54_321, -1, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user's link"):
        FileLimiter(shared / "link" / "a.limiter")


def test_a_file_of_another_user_in_a_shared_folder_is_not_used(path, tmp_path, monkeypatch):
    """Whoever owns it could take the whole rate, or give more than there is."""
    exchange(path, bucket(), ASK)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(module, "ROOT", owner + 2)
    exchange(path, bucket(), ASK)
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreUnavailableError, match="another user"):
        exchange(path, bucket(), ASK)


def test_a_missing_folder_is_named_in_the_error(tmp_path):
    """The store counts as unavailable."""
    with pytest.raises(StoreUnavailableError, match="No such file"):
        exchange(str(tmp_path / "no" / "account.limiter"), bucket(), ASK)


def test_a_store_that_is_in_use_is_waited_for_only_so_long(path):
    """A thread waits for a stopped process for its patience; an event loop does not wait."""
    store = FileStore(path)
    store.exchange(bucket(), ASK, patience=0.0)
    with Path(path).open("r+b") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert store.exchange(bucket(), ASK, patience=0.0) is None
        assert store.exchange(bucket(), ASK, patience=0.01) is None
        fcntl.flock(holder, fcntl.LOCK_UN)

    assert store.exchange(bucket(), ASK, patience=0.0) is not None


def test_two_threads_of_a_process_do_not_share_the_lock(path):
    """A lock belongs to the open file, so a mutex keeps threads apart."""
    store = FileStore(path)
    store.exchange(bucket(), ASK, patience=0.0)
    assert store._file.acquire(patience=0.0)
    assert store.exchange(bucket(), ASK, patience=0.0) is None
    assert store.exchange(bucket(), ASK, patience=0.01) is None
    store._file.release()


def test_a_file_that_is_replaced_while_it_is_waited_for_is_opened_anew(path, monkeypatch):
    """A tick is never noted in a file that no other process can see."""
    store, real, replaced = FileStore(path), fcntl.flock, []
    store.exchange(bucket(), ASK, patience=1.0)

    def flock(file, operation):
        if not replaced:
            replaced.append(Path(path).rename(f"{path}.old"))
        return real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    store.exchange(bucket(), ASK, patience=1.0)

    assert len(FileStore(path).read_all()[1]) == 1


def test_a_disk_that_is_full_counts_as_unavailable(path, monkeypatch):
    """The tick was not noted, so it was not granted."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        exchange(path, bucket(), ASK)


def test_the_record_of_a_bucket_that_nobody_uses_is_used_again_after_an_hour(path):
    """The file does not grow with every account that was ever used."""
    for now, family in ((1000.0, "search"), (1001.0, "captions"), (200_000.0, "embeddings")):
        exchange(path, bucket(family=family), ASK, clock=lambda now=now: now)
    names = [*FileStore(path, clock=lambda: 200_000.0).read_all()[1]]

    assert names == ["f00d@http://127.0.0.1 embeddings", "f00d@http://127.0.0.1 captions"]


def test_a_bucket_is_found_by_its_whole_name(path):
    """Names that are longer than a record has room for are told apart."""
    for end in "ab":
        where = evolve(bucket(1), account="x" * 300 + end)
        assert exchange(path, where, ASK).granted is not None

    assert exchange(path, where, BEE).granted is None
    assert len(FileStore(path).read_all()[1]) == 1


def test_so_many_processes_as_a_record_holds_may_share_a_bucket(path):
    """One more counts as an unavailable store; the others go on."""
    store = FileStore(path)
    for number in range(MAX_LEASES):
        store.exchange(bucket(), Request(member=f"m{number}", busy=1), patience=1.0)
    with pytest.raises(StoreUnavailableError, match="processes"):
        store.exchange(bucket(), Request(member="one more", busy=1), patience=1.0)

    assert len(store.read_all()[1][bucket().name].leases) == MAX_LEASES


def test_the_clock_is_the_machines():
    """It runs on whatever the calendar does, and a boot has a name."""
    assert read_clock() <= read_clock()
    assert find_clock_name() == find_clock_name()


def test_no_boot_is_named_where_the_system_tells_none(monkeypatch):
    """Then a clock that went back is the sign."""
    monkeypatch.setattr(module, "Path", lambda _: _Missing())
    assert find_clock_name.__wrapped__() == ""


class _Missing:
    def read_text(self, _):
        raise FileNotFoundError


def test_the_limiter_pickles_as_its_path(path):
    """In another process it is the same file's; here it shares one worker."""
    limiter = FileLimiter(path, account="acme")
    other = pickle.loads(pickle.dumps(limiter))

    assert repr(other) == f"FileLimiter({path!r})"
    assert other._worker is limiter._worker
    assert other._with_account(bucket()).account == "acme"


def test_the_default_file_pickles_as_the_default(monkeypatch, tmp_path):
    """In another user's process, or on another machine, it is that user's."""
    pickled = pickle.dumps(FileLimiter())
    (tmp_path / "other").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))

    assert pickle.loads(pickled).path == str(tmp_path / "other/memories_async/account.limiter")
    assert pickle.loads(pickle.dumps(FileLimiter(account="acme")))._account == "acme"


def test_where_there_is_no_flock_the_limiter_says_what_it_needs(path, monkeypatch):
    """The package imports on Windows; this limiter names another one."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(NotImplementedError, match=r"flock.*RedisLimiter"):
        FileLimiter(path)


def test_a_full_file_uses_the_record_that_was_idle_for_longest(path, monkeypatch):
    """A test suite may open hundreds of services in an hour."""
    monkeypatch.setattr(module, "MAX_BUCKETS", 2)
    for now, family in ((1000.0, "search"), (1001.0, "captions"), (1010.0, "embeddings")):
        exchange(path, bucket(family=family), ASK, clock=lambda now=now: now)
    with pytest.raises(StoreUnavailableError, match="no room"):
        exchange(path, bucket(family="asset_upload"), ASK, clock=lambda: 1002.0)

    assert len(FileStore(path, clock=lambda: 1010.0).read_all()[1]) == 2


def test_describe_shows_the_state_of_each_bucket(path):
    """Calls at work, waiting processes, slowness, and the time until the next tick."""
    limiter = FileLimiter(path)

    async def work():
        async with limiter.permit(bucket(1)):
            return limiter.describe()

    said = asyncio.run(work())
    (state,) = said.buckets
    assert (said.store, said.where, said.fault) == ("file", path, None)
    assert (state.family, state.busy, state.waiting, state.slowness) == ("search", 1, 0, 1.0)
    assert 0.5 < state.wait <= 1.02


def test_describe_shows_why_the_file_cannot_be_used(tmp_path):
    """There are no buckets then."""
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
