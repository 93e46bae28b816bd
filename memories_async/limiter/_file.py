"""FileLimiter: one rate for all processes of a machine, by a small locked file of fixed records.

The clock counts seconds since the machine was started: it is the same for all processes and never
jumps.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from math import inf
from pathlib import Path
from struct import Struct
from typing import Any

import platformdirs
from attrs import define, field

from memories_async._files import resolve_links
from memories_async.events import logger
from memories_async.limiter._in_process import in_process
from memories_async.limiter._limits import Bucket
from memories_async.limiter._locked_file import LockedFile, NotTrustedError, explain
from memories_async.limiter._rate_limiter import LimiterStatus, RateLimiter
from memories_async.limiter._rule import LEASE, BucketState, Request, Response, step
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreUnavailableError, pack_state, unpack_state
from memories_async.limiter._store_worker import find_worker

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


def find_default_path() -> Path:
    """Return the path of the file that all programs of this user share, in a private folder.

    The folder is created if it is missing. Raises `OSError` where there is no private one.
    """
    with warnings.catch_warnings():
        # Without `XDG_RUNTIME_DIR` it is a folder of the user's below the temporary one.
        warnings.simplefilter("ignore")
        folder = platformdirs.user_runtime_path("memories_async")
    for one in (folder.parent, folder):
        one.mkdir(mode=0o700, exist_ok=True)
        found = one.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{one} is not a private folder of this user")
    return folder / "account.limiter"


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
    _records: dict[str, tuple[bytes, int]] = field(factory=dict[str, Any], init=False, eq=False)
    """The hash of a bucket's name, and where its record was the last time."""

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
        with _explaining(self.path):
            if not self._file.acquire(patience):
                return None
            try:
                # Read under the lock: no process has a time before that of the one before it.
                at, now = time.monotonic(), self.clock()
                count, lost_at = self._read_header(now)
                index, state = self._find(bucket, count, lost_at, now)
                state, response = step(state, request, bucket.limit, now)
                self._write(index, bucket.name, state)
            finally:
                self._file.release()
        return at, response

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `BucketStore.read_all`."""
        with _explaining(self.path):
            if not self._file.acquire(patience=1.0):
                raise StoreUnavailableError(f"{self.path}: another process does not release it")
            try:
                now = self.clock()
                count, _ = self._read_header(now)
                records = [self._read(index) for index in range(1, count + 1)]
            finally:
                self._file.release()
        buckets = dict[str, BucketState]()
        for raw in records:
            *_, length, name = _BUCKET.unpack_from(raw)
            if (state := self._decode(raw, now)) is not None:
                buckets[name[:length].decode("utf-8", "replace")] = state
        return now, buckets

    def forget(self) -> None:
        """See `BucketStore.forget`."""
        self._file.forget()

    def _build_new(self, has_used: bool) -> bytes:  # called by the file
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

    def _find(
        self, bucket: Bucket, count: int, lost_at: float, now: float
    ) -> tuple[int, BucketState]:
        """Find a bucket's record and state, or make room for it."""
        name, limit = bucket.name, bucket.limit
        digest, known = self._records.get(name) or (_hash(name), 0)
        for index in (*((known,) if 0 < known <= count else ()), *range(1, count + 1)):
            raw = self._read(index)
            if raw.startswith(digest):
                self._records[name] = digest, index
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
        text, digest = name.encode()[:222], self._records.get(name, (b"", 0))[0] or _hash(name)
        head = _BUCKET.pack(digest, self._clock_id, len(text), text)
        os.pwrite(self._file.number, head + pack_state(state), index * RECORD)


@contextmanager
def _explaining(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {explain(error)}") from error
    except NotTrustedError as error:
        raise StoreUnavailableError(f"{path} {error}") from error


class FileLimiter(SharedLimiter):
    """Rate limiter of all processes of this machine that name the same file; no service to run.

    Without *path* it is a file in the user's runtime folder, which all programs of the user share;
    `OSError` where there is no private one. The file is private to the user, and never opened
    through a symbolic link; `PermissionError` where another user placed a link among its folders. It keeps the rate across restarts: a program that crashes in a loop
    stays within it. *account* names the account where it has several keys; without it each key is
    an account. A permit costs about 0.1 ms. Not for network file systems, and not on Windows, which
    lacks `flock`: `NotImplementedError`.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, account: str | None = None
    ) -> None:
        try:
            import_module("fcntl")
        except ImportError as error:
            raise NotImplementedError(
                "FileLimiter needs flock, which Windows lacks: use RedisLimiter"
            ) from error
        where = Path(find_default_path() if path is None else path)
        self.path: str = str(resolve_links(where.parent) / where.name)
        self._is_default, self._account = path is None, account
        self._worker = find_worker(FileStore(self.path))

    def describe(self) -> LimiterStatus:
        """Return the state of every bucket; reads the file."""
        shared_by = "every process of this machine that names the file"
        return self._describe(store="file", where=self.path, shared_by=shared_by)

    def __repr__(self) -> str:
        return f"FileLimiter({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default file is the receiving user's: it may be elsewhere.
        return _restore, (None if self._is_default else self.path, self._account)


def _restore(path: str | None, account: str | None) -> RateLimiter:
    return (
        find_default() if path is None and account is None else FileLimiter(path, account=account)
    )


def find_default() -> RateLimiter:
    """Return the limiter of a client that was given none: `FileLimiter()`.

    Where there is no private runtime folder it is the limiter of this process, which is said once
    in the log.
    """
    try:
        return FileLimiter()
    except (OSError, NotImplementedError) as error:
        _warn_once(str(error))
        return in_process


@cache
def _warn_once(reason: str) -> None:
    logger.warning(
        "only this process keeps the account's rate (%s); set MEMORIES_LIMITER to share it", reason
    )
