"""FileLimiter: one rate for all processes of a machine. And which limiter a client has."""

from __future__ import annotations

import os
import stat
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import platformdirs

from memories_async._files import resolve_links
from memories_async.events import logger
from memories_async.limiter._file_store import FileStore
from memories_async.limiter._in_process import in_process
from memories_async.limiter._limits import LimiterStatus, RateLimiter
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store_worker import find_worker

LIMITER_VARIABLE = "MEMORIES_LIMITER"


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


class FileLimiter(SharedLimiter):
    """Rate limiter of all processes of this machine that name the same file; no service to run.

    Without *path* it is a file in the user's runtime folder, which all programs of the user share;
    `OSError` where there is no private one. The file is private to the user, and never opened
    through a symbolic link; `PermissionError` where another user placed a link among its folders.
    It keeps the rate across restarts: a program that crashes in a loop stays within it. *account*
    names the account where it has several keys; without it each key is an account. A permit costs
    about 0.05 ms. Not for network file systems, and not on Windows, which lacks `flock`:
    `NotImplementedError`.
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


def parse_limiter(value: str) -> RateLimiter:
    """Read `process`, `file` (all programs of the user), `file:/path` or `redis://host:port/0`.

    Raises `ValueError` for any other value and where `file` finds no private folder, and `ImportError`
    for Redis without its extra.
    """
    scheme, _, rest = value.partition(":")
    if value == "process":
        return in_process
    if scheme == "file":
        try:
            return FileLimiter(rest.removeprefix("//") or None)
        except OSError as error:
            raise ValueError(f"{LIMITER_VARIABLE}: {error}; name a file, file:/path") from error
    if scheme in {"redis", "rediss", "unix"}:
        # Slow to import, and an extra.
        from memories_async.limiter._redis import RedisLimiter  # noqa: PLC0415

        return RedisLimiter(value)
    raise ValueError(
        f"{LIMITER_VARIABLE} must be process, file, file:/path or redis://host:port/0; "
        f"it begins with {scheme!r}"
    )
