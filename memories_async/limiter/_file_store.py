"""The buckets of one machine: a small file of fixed records, locked by `flock` for each exchange.

The file is read and written by `pread` and `pwrite`, not memory-mapped: a mapping that somebody
truncates kills the process, and a read of 8 KB costs 2 us.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import ELOOP
from functools import cache
from importlib import import_module
from math import inf
from pathlib import Path
from struct import Struct
from typing import Any

from attrs import define, field

from memories_async.limiter._limits import Bucket
from memories_async.limiter._rule import LEASE, BucketState, Request, Response, step
from memories_async.limiter._store import StoreUnavailableError, pack_state, unpack_state

ROOT = 0  # the user whom everybody has to trust


@define(eq=False)
class LockedFile:
    """A private file. It stays open, but not across a fork: parent and child would share a lock."""

    path: str
    build_content: Callable[[bool], bytes]
    """Builds the content of a file that is missing, told whether this process has used it before."""
    number: int = field(default=-1, init=False)
    """The open file's descriptor; -1 while there is none."""
    size: int = field(default=0, init=False)
    """Its size when it was acquired."""
    _identity: tuple[int, int] = field(default=(0, 0), init=False)
    _has_opened: bool = field(default=False, init=False)
    _mutex: threading.Lock = field(factory=threading.Lock, init=False)
    _fcntl: Any = field(default=None, init=False)

    def acquire(self, patience: float) -> bool:
        """Hold the file for this thread; False if others hold it for *patience* seconds."""
        # A lock belongs to the open file, which the threads of this process share.
        if not self._mutex.acquire(blocking=patience > 0, timeout=patience if patience > 0 else -1):
            return False
        is_locked = False
        try:
            is_locked = self._lock(patience)
        finally:
            if not is_locked:
                self._mutex.release()
        return is_locked

    def release(self) -> None:
        """Let others hold the file."""
        self._fcntl.flock(self.number, self._fcntl.LOCK_UN)
        self._mutex.release()

    def forget(self) -> None:
        """Close a forked child's copy, and leave the parent's lock alone."""
        self._close()
        self._mutex = threading.Lock()

    def _lock(self, patience: float) -> bool:
        until = time.monotonic() + patience
        while True:
            if self.number < 0:
                self._open()
            try:
                self._fcntl.flock(self.number, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
                found = os.lstat(self.path)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.0001)
            except FileNotFoundError:  # somebody removed it
                self._close()
            else:
                if (found.st_dev, found.st_ino) == self._identity:
                    self.size = found.st_size
                    return True
                self._close()  # somebody put another in its place

    def _open(self) -> None:
        self._fcntl = import_module("fcntl")
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.number = os.open(self.path, flags)
        except FileNotFoundError:
            self._create()
            self.number = os.open(self.path, flags)
        self._has_opened = True
        found, folder = os.fstat(self.number), Path(self.path).parent.stat()
        self._identity = found.st_dev, found.st_ino
        if folder.st_mode & stat.S_IWOTH and found.st_uid not in {os.geteuid(), ROOT}:
            self._close()
            raise StoreUnavailableError(
                f"{self.path} belongs to another user, in a folder that is open to all"
            )

    def _create(self) -> None:
        """Create the file with its content at once: one that is empty was emptied."""
        temporary = f"{self.path}.{secrets.token_hex(8)}"
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(number, 0o600)  # the umask may take the owner's rights away, too
            os.pwrite(number, self.build_content(self._has_opened), 0)
            with suppress(FileExistsError):  # another process was faster
                os.link(temporary, self.path)
        finally:
            os.close(number)
            Path(temporary).unlink()

    def _close(self) -> None:
        if self.number >= 0:
            os.close(self.number)
        self.number = -1


EXPIRY = 3600.0
"""Seconds after which the record of a bucket that nobody uses may be used for another."""
RECORD = 8192
"""Bytes of a record: the header, or a bucket."""
MAX_BUCKETS = 1024
_MAGIC = b"memories_async limiter 2\n"
_HEADER = Struct("<32s16sdI")
"""The magic, the clock, when the file lost its state (-inf: never), and the number of records."""
_BUCKET = Struct("<16s16sH222s")
"""The hash of the bucket's name, the clock, and the name with its length. Its state follows."""
_Written = tuple[int, bytes, BucketState]  # a record: where it is, and its content


def read_clock() -> float:
    """Seconds since the machine was started, sleep included: the same for all, and never jumps."""
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


@cache
def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@define
class FileStore:
    """The file: a header, and a record for each bucket."""

    path: str
    clock: Callable[[], float] = field(default=read_clock, eq=False)
    clock_name: Callable[[], str] = field(default=find_clock_name, eq=False)
    _file: LockedFile = field(init=False, eq=False)
    _clock_id: bytes = field(init=False, eq=False)
    _written: dict[str, _Written] = field(factory=dict[str, _Written], init=False, eq=False)
    """What this process wrote last for each bucket, which is decoded only if it changed since."""

    is_local = True

    def __attrs_post_init__(self) -> None:
        """Prepare, without opening anything."""
        self._file = LockedFile(self.path, self._build_new)
        self._clock_id = _hash(self.clock_name())

    def __hash__(self) -> int:
        return hash(self.path)

    def exchange(
        self, bucket: Bucket, request: Request, *, patience: float
    ) -> tuple[float, Response] | None:
        """See `BucketStore.exchange`."""
        try:
            if not self._file.acquire(patience):
                return None
            try:
                # Read under the lock: no process has a time before that of the one before it.
                at, now = time.monotonic(), self.clock()
                index, state = self._find(bucket, now)
                state, response = step(state, request, bucket.limit, now)
                self._write(index, bucket.name, state)
            finally:
                self._file.release()
        except OSError as error:
            raise _explain(self.path, error) from error
        return at, response

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `BucketStore.read_all`."""
        try:
            if not self._file.acquire(patience=1.0):
                raise StoreUnavailableError(f"{self.path}: another process does not release it")
            try:
                now = self.clock()
                count, _ = self._read_header(now)
                records = [self._read(index) for index in range(1, count + 1)]
            finally:
                self._file.release()
        except OSError as error:
            raise _explain(self.path, error) from error
        buckets = dict[str, BucketState]()
        for raw in records:
            *_, length, name = _BUCKET.unpack_from(raw)
            if (state := self._decode(raw, now)) is not None:
                buckets[name[:length].decode("utf-8", "replace")] = state
        return now, buckets

    def forget(self) -> None:
        """See `BucketStore.forget`."""
        self._file.forget()

    def _build_new(self, has_used: bool) -> bytes:
        # A process that has used the file before knows that state was lost.
        return self._pack_header(0, self.clock() if has_used else -inf).ljust(RECORD, b"\0")

    def _pack_header(self, count: int, lost_at: float) -> bytes:
        return _HEADER.pack(_MAGIC, self._clock_id, lost_at, count)

    def _read_header(self, now: float) -> tuple[int, float]:
        """Return the number of buckets, and when the file lost its state."""
        raw = os.pread(self._file.number, _HEADER.size, 0)
        if raw.strip(b"\0") and not raw.startswith(_MAGIC[: len(raw)]):
            raise StoreUnavailableError(f"{self.path} is not a file of this library's limiter")
        if len(raw) == _HEADER.size:
            magic, clock, lost_at, count = _HEADER.unpack(raw)
            if magic.startswith(_MAGIC) and self._file.size >= (count + 1) * RECORD:
                return count, lost_at if clock == self._clock_id else -inf
        # It was emptied or cut off. Nobody knows what was sent, so every bucket begins with a pause.
        self._resize(0, now)
        return 0, now

    def _resize(self, count: int, lost_at: float) -> None:
        os.pwrite(self._file.number, self._pack_header(count, lost_at), 0)
        os.ftruncate(self._file.number, (count + 1) * RECORD)

    def _find(self, bucket: Bucket, now: float) -> tuple[int, BucketState]:
        """Find a bucket's record and state, or make room for it."""
        name, limit = bucket.name, bucket.limit
        known, written, state = self._written.get(name, (0, b"", None))
        if state and os.pread(self._file.number, len(written), known * RECORD) == written:
            return known, state
        count, lost_at = self._read_header(now)
        for index in (known, *range(1, count + 1)):
            if index <= count and (raw := self._read(index)).startswith(_hash(name)):
                # A damaged record is lost state too.
                return index, self._decode(raw, now) or BucketState.create(limit, now, now)
        return self._add(count, lost_at, now), BucketState.create(limit, now, lost_at)

    def _add(self, count: int, lost_at: float, now: float) -> int:
        """Make room for a bucket: a record that nobody used for an hour, or another one."""
        used_at = dict[int, float]()
        for index in range(1, count + 1):
            state = self._decode(self._read(index), now)
            used_at[index] = inf if state is None else max(state.seen, state.gcra.next_at)
        idle = min(used_at, key=used_at.__getitem__, default=0)
        if idle and used_at[idle] < now - (EXPIRY if count < MAX_BUCKETS else LEASE):
            return idle
        if count == MAX_BUCKETS:
            raise StoreUnavailableError(f"{self.path} has no room for more than {count} buckets")
        self._resize(count + 1, lost_at)
        return count + 1

    def _read(self, index: int) -> bytes:
        return os.pread(self._file.number, RECORD, index * RECORD)

    def _decode(self, raw: bytes, now: float) -> BucketState | None:
        """Decode a record's state; None if it is damaged."""
        state = unpack_state(raw, _BUCKET.size)
        if state is not None and raw[16:32] != self._clock_id:
            # Another boot. No time has passed, as far as anybody knows: no request is too early.
            return state.shift(now - state.seen)
        return state

    def _write(self, index: int, name: str, state: BucketState) -> None:
        """Write a bucket. One write: a process that is killed leaves the old state or the new."""
        text = name.encode()[:222]
        record = _BUCKET.pack(_hash(name), self._clock_id, len(text), text) + pack_state(state)
        os.pwrite(self._file.number, record, index * RECORD)
        self._written[name] = index, record, state


def _explain(path: str, error: OSError) -> StoreUnavailableError:
    reason = "is a symbolic link" if error.errno == ELOOP else error.strerror or str(error)
    return StoreUnavailableError(f"{path}: {reason}")
