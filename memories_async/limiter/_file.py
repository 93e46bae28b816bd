"""The limiter of one machine: a small locked file that every process of the account uses.

The clock counts seconds since the machine was started: it is the same for all processes and never
jumps. SQLite is as fast (`benchmarks/limiter_stores.py`: within a tenth), but its connections must not
cross a fork, and its waits for the lock are naps of many milliseconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from attrs import field, frozen
from cattrs import Converter

from memories_async.limiter._in_process import LimiterStatus
from memories_async.limiter._limits import Bucket
from memories_async.limiter._rule import Answer, BucketState, Word, hear
from memories_async.limiter._shared import SharedLimiter, in_force
from memories_async.limiter._store import StoreDown
from memories_async.limiter._store_worker import clerk_of

if sys.platform != "win32":
    import fcntl

PATIENCE = 1.0
"""Seconds to wait for the lock: its holders need some ten millionths."""
KEPT = 86_400.0
"""Seconds for which a bucket that nobody uses is kept."""
_FORMAT = "memories_async limiter 1"
_MOST = 1 << 20

_converter = Converter(detailed_validation=False)
_Buckets = dict[str, dict[str, Any]]
"""Buckets as they stand in the file: only the one that is asked for is read."""


def since_boot() -> float:
    """Seconds since the machine was started, sleep included where the system tells."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@cache
def clock_name() -> str:
    """Name the clock: another boot, or another time namespace, has another zero."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:
        return ""


@frozen
class FileStore:
    """The file. Opened for each word and closed again, so that a fork shares nothing."""

    path: str
    clock: Callable[[], float] = field(default=since_boot, eq=False)
    clock_name: Callable[[], str] = field(default=clock_name, eq=False)

    def exchange(self, bucket: Bucket, word: Word) -> Answer:
        """See `Store.exchange`."""
        with self._locked() as file:
            raw = os.pread(file, _MOST, 0)
            # Read under the lock: nobody's time lies before that of the one before.
            now = self.clock()
            with self._readable():
                buckets = self._buckets(raw, now)
                state = (
                    _state(buckets[bucket.name])
                    if bucket.name in buckets
                    else BucketState(seen=now)
                )
                buckets = {name: one for name, one in buckets.items() if _is_used(one, now)}
            state, answer = hear(state, word, bucket.limit, now)
            self._write(file, buckets | {bucket.name: _converter.unstructure(state)}, now, len(raw))
        return answer

    def look(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `Store.look`."""
        with self._locked() as file, self._readable():
            now = self.clock()
            buckets = self._buckets(os.pread(file, _MOST, 0), now)
            return now, {name: _state(one) for name, one in buckets.items()}

    def forget(self) -> None:
        """See `Store.forget`: nothing stays open."""

    @contextmanager
    def _locked(self) -> Generator[int]:
        try:
            file = self._open()
        except OSError as error:
            raise StoreDown(f"{self.path}: {error.strerror}") from error
        try:
            yield file
        except OSError as error:
            raise StoreDown(f"{self.path}: {error.strerror}") from error
        finally:
            # By name, not only by closing: a child forked just now has a copy of the descriptor.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def _open(self) -> int:
        until = time.monotonic() + PATIENCE
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if self._lock(file, until) and os.fstat(file).st_nlink:
                return file
            # Somebody removed the file while we waited, or never lets go of it.
            os.close(file)
            if time.monotonic() > until:
                raise StoreDown(f"{self.path}: another process does not let go of it")

    def _lock(self, file: int, until: float) -> bool:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.0001)
            else:
                return True

    @contextmanager
    def _readable(self) -> Generator[None]:
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreDown(f"{self.path} is damaged; remove it") from error

    def _buckets(self, raw: bytes, now: float) -> _Buckets:
        if not raw.strip():
            return {}
        document: dict[str, Any] = json.loads(raw)
        if document.pop("format", None) != _FORMAT:
            raise StoreDown(f"{self.path} is not a file of this library's limiter")
        buckets: _Buckets = document["buckets"]
        if document["clock"] == self.clock_name():
            return buckets
        # Time did not pass, as far as we can know: then nobody goes too early.
        by = now - document["now"]
        return {n: _converter.unstructure(_state(one).shifted(by)) for n, one in buckets.items()}

    def _write(self, file: int, buckets: _Buckets, now: float, size: int) -> None:
        document = {"format": _FORMAT, "clock": self.clock_name(), "now": now, "buckets": buckets}
        # One write that covers the old text: a process that is killed leaves the old or the new.
        os.pwrite(file, json.dumps(document).encode().ljust(size), 0)


def _state(bucket: Mapping[str, Any]) -> BucketState:
    return _converter.structure(bucket, BucketState)


def _is_used(bucket: Mapping[str, Any], now: float) -> bool:
    latest: float = max(bucket["seen"], bucket["spacing"]["next_at"])
    return latest > now - KEPT


class FileLimiter(SharedLimiter):
    """The limiter of all processes of this machine that name the same file; no service to run.

    It survives restarts: a program that crashes in a loop keeps to the rate. *account* names the
    account where its keys differ; else a key is an account. A permit costs about a tenth of a
    millisecond. Not for network file systems, nor for Windows.
    """

    def __init__(self, path: str | os.PathLike[str], *, account: str | None = None) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(
                "FileLimiter needs flock, which Windows lacks: use RedisLimiter"
            )
        self.path: str = os.path.realpath(path)
        self._account = account
        self._clerk = clerk_of(FileStore(self.path))

    def describe(self) -> LimiterStatus:
        """Say what is in force; reads the file."""
        fault, now, buckets = self._clerk.fault, 0.0, dict[str, BucketState]()
        try:
            now, found = self._clerk.store.look()
            buckets.update(found)
        except StoreDown as error:
            fault = str(error)
        return LimiterStatus(
            store="file",
            where=self.path,
            shared_by="every process of this machine that names the file",
            fault=fault,
            buckets=tuple(in_force(name, state, now) for name, state in buckets.items()),
        )

    def __repr__(self) -> str:
        return f"FileLimiter({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _file_limiter, (self.path, self._account)


def _file_limiter(path: str, account: str | None) -> FileLimiter:
    return FileLimiter(path, account=account)
