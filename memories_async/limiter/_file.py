"""FileLimiter: one rate for all processes of a machine, by a small locked file of fixed records.

The clock counts seconds since the machine was started: it is the same for all processes and never
jumps. The file is read and written by `pread` and `pwrite`, not memory-mapped: a mapping that
somebody truncates kills the process, and a read of 8 KB costs 2 us.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from errno import ELOOP
from functools import cache
from math import inf
from pathlib import Path
from struct import Struct
from typing import Any

from attrs import define, field

from memories_async.limiter._limits import Bucket
from memories_async.limiter._rate_limiter import LimiterStatus
from memories_async.limiter._rule import BucketState, Request, Response, step
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreUnavailableError, pack_state, unpack_state
from memories_async.limiter._store_worker import find_worker

if sys.platform != "win32":
    import fcntl

EXPIRY = 86_400.0
"""Seconds after which the record of a bucket that nobody uses may be used for another."""
RECORD = 8192
"""Bytes of a record: the header, or a bucket."""
MAX_BUCKETS = 1024
ROOT = 0
"""The user whom everybody has to trust."""
_MAGIC = b"memories_async limiter 2\n"
_HEADER = Struct("<32s16sdI")
"""The magic, the clock, when the file lost its state (-inf: never), and the number of records."""
_BUCKET = Struct("<16s16sH222s")
"""The hash of the bucket's name, the clock, and the name with its length. Its state follows."""


def read_clock() -> float:
    """Seconds since the machine was started, sleep included where the system tells."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@cache
def find_clock_name() -> str:
    """Name the clock: another boot, or another time namespace, has another zero."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:
        return ""


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@define
class FileStore:
    """The file. Stays open between exchanges, but not across a fork, whose lock it would share."""

    path: str
    clock: Callable[[], float] = field(default=read_clock, eq=False)
    clock_name: Callable[[], str] = field(default=find_clock_name, eq=False)
    _file: int = field(default=-1, init=False, eq=False)
    _identity: tuple[int, int] = field(default=(0, 0), init=False, eq=False)
    _indexes: dict[str, int] = field(factory=dict[str, int], init=False, eq=False)
    _mutex: threading.Lock = field(factory=threading.Lock, init=False, eq=False)
    _clock_id: bytes = field(default=b"", init=False, eq=False)
    _has_opened: bool = field(default=False, init=False, eq=False)

    is_local = True

    def __hash__(self) -> int:
        return hash(self.path)

    def exchange(
        self, bucket: Bucket, request: Request, *, patience: float
    ) -> tuple[float, Response] | None:
        """See `BucketStore.exchange`."""
        with self._lock(patience) as is_locked:
            if not is_locked:
                return None
            # Read under the lock: no process has a time before that of the one before it.
            at, now = time.monotonic(), self.clock()
            count, lost_at = self._read_header(now)
            index = self._find(bucket.name, count)
            if index is None:
                index = self._add(count, lost_at, now)
                state: BucketState | None = BucketState.create(bucket.limit, now, lost_at)
            else:
                _, state = self._read(index, now)
            # A damaged record is lost state too.
            state = state or BucketState.create(bucket.limit, now, lost_at=now)
            state, response = step(state, request, bucket.limit, now)
            self._write(index, bucket.name, state)
            return at, response

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `BucketStore.read_all`."""
        with self._lock(patience=1.0) as is_locked:
            if not is_locked:
                raise StoreUnavailableError(f"{self.path}: another process does not release it")
            now = self.clock()
            count, _ = self._read_header(now)
            records = [self._read(index, now) for index in range(1, count + 1)]
            return now, {name: state for name, state in records if state is not None}

    def forget(self) -> None:
        """See `BucketStore.forget`."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._mutex = -1, threading.Lock()

    @contextmanager
    def _lock(self, patience: float) -> Generator[bool]:
        """Hold the file for this thread alone; yields whether it could be had in time."""
        if (
            not self._mutex.acquire(timeout=patience)
            if patience
            else not self._mutex.acquire(False)
        ):
            yield False
            return
        is_locked = False
        try:
            is_locked = self._lock_file(time.monotonic() + patience)
            yield is_locked
        except OSError as error:
            why = "is a symbolic link" if error.errno == ELOOP else error.strerror
            raise StoreUnavailableError(f"{self.path}: {why}") from error
        finally:
            if is_locked:
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._mutex.release()

    def _lock_file(self, until: float) -> bool:
        while True:
            if self._file < 0:
                self._open()
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.0001)
                continue
            if self._is_current():
                return True
            # Somebody removed the file, or put another in its place.
            self._close()

    def _is_current(self) -> bool:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _open(self) -> None:
        self._clock_id = _digest(self.clock_name())
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file = os.open(self.path, flags)
        except FileNotFoundError:
            self._create()
            self._file = os.open(self.path, flags)
        self._has_opened = True
        found = os.fstat(self._file)
        self._identity = found.st_dev, found.st_ino
        self._indexes.clear()
        if not self._is_trusted(found):
            self._close()
            raise StoreUnavailableError(f"{self.path} belongs to another user, in a shared folder")

    def _is_trusted(self, found: os.stat_result) -> bool:
        """Whether the file is this user's, or stands where only trusted users can create files."""
        folder = Path(self.path).parent.stat()
        return found.st_uid in {os.geteuid(), ROOT} or not folder.st_mode & stat.S_IWOTH

    def _create(self) -> None:
        """Create the file with its header at once: a file that is empty has lost its state."""
        temporary = f"{self.path}.{os.getpid()}.{threading.get_ident()}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # A process that has used the file before knows that state was lost.
            lost_at = self.clock() if self._has_opened else -inf
            header = _HEADER.pack(_MAGIC, self._clock_id, lost_at, 0)
            os.pwrite(file, header.ljust(RECORD, b"\0"), 0)
            os.link(temporary, self.path)
        except FileExistsError:
            pass  # another process was faster
        finally:
            os.close(file)
            Path(temporary).unlink()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1

    def _read_header(self, now: float) -> tuple[int, float]:
        """Return the number of buckets, and when the file lost its state."""
        size, raw = os.fstat(self._file).st_size, os.pread(self._file, _HEADER.size, 0)
        if raw.strip(b"\0"):
            if not raw.startswith(_MAGIC[: len(raw)]):
                raise StoreUnavailableError(f"{self.path} is not a file of this library's limiter")
            if len(raw) == _HEADER.size:
                _, clock, lost_at, count = _HEADER.unpack(raw)
                if size >= (count + 1) * RECORD:
                    return count, lost_at if clock == self._clock_id else -inf
        # It was emptied or cut off. Nobody knows what was sent, so every bucket begins with a pause.
        os.ftruncate(self._file, 0)
        self._indexes.clear()
        self._write_header(0, now)
        return 0, now

    def _write_header(self, count: int, lost_at: float) -> None:
        os.pwrite(self._file, _HEADER.pack(_MAGIC, self._clock_id, lost_at, count), 0)
        os.ftruncate(self._file, (count + 1) * RECORD)

    def _find(self, name: str, count: int) -> int | None:
        """Find the record of a bucket, usually where it was the last time."""
        digest, index = _digest(name), self._indexes.get(name, 0)
        if 0 < index <= count and os.pread(self._file, 16, index * RECORD) == digest:
            return index
        for index in range(1, count + 1):
            if os.pread(self._file, 16, index * RECORD) == digest:
                self._indexes[name] = index
                return index
        return None

    def _add(self, count: int, lost_at: float, now: float) -> int:
        """Make room for a bucket: a record that nobody used for a day, or another one."""
        for index in range(1, count + 1):
            _, state = self._read(index, now)
            if state is None or max(state.seen, state.gcra.next_at) < now - EXPIRY:
                return index
        if count == MAX_BUCKETS:
            raise StoreUnavailableError(f"{self.path} has no room for more than {count} buckets")
        self._write_header(count + 1, lost_at)
        return count + 1

    def _read(self, index: int, now: float) -> tuple[str, BucketState | None]:
        """Read a bucket's name and state; None if the record is empty or damaged."""
        raw = os.pread(self._file, RECORD, index * RECORD)
        _, clock, length, name = _BUCKET.unpack_from(raw)
        state = unpack_state(raw[_BUCKET.size :])
        if state is not None and clock != self._clock_id:
            # Another boot. No time has passed, as far as anybody knows: no request is too early.
            state = state.shift(now - state.seen)
        return name[:length].decode("utf-8", "replace"), state

    def _write(self, index: int, name: str, state: BucketState) -> None:
        """Write a bucket. One write: a process that is killed leaves the old state or the new."""
        text = name.encode()[:222]
        head = _BUCKET.pack(_digest(name), self._clock_id, len(text), text)
        os.pwrite(self._file, head + pack_state(state), index * RECORD)


class FileLimiter(SharedLimiter):
    """Rate limiter of all processes of this machine that name the same file; no service to run.

    The file keeps the rate across restarts: a program that crashes in a loop stays within it.
    *account* names the account where it has several keys; without it each key is an account. A
    permit costs about 0.1 ms. Not for network file systems, and not on Windows, which lacks `flock`.
    """

    def __init__(self, path: str | os.PathLike[str], *, account: str | None = None) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(
                "FileLimiter needs flock, which Windows lacks: use RedisLimiter"
            )
        self.path: str = os.path.realpath(path)
        self._account = account
        self._worker = find_worker(FileStore(self.path))

    def describe(self) -> LimiterStatus:
        """Return the state of every bucket; reads the file."""
        shared_by = "every process of this machine that names the file"
        return self._describe(store="file", where=self.path, shared_by=shared_by)

    def __repr__(self) -> str:
        return f"FileLimiter({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _build, (self.path, self._account)


def _build(path: str, account: str | None) -> FileLimiter:
    return FileLimiter(path, account=account)
