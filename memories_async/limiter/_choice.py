"""Chooses a limiter by the value of `MEMORIES_LIMITER`."""

from __future__ import annotations

from memories_async.limiter._file import FileLimiter
from memories_async.limiter._in_process import in_process
from memories_async.limiter._rate_limiter import RateLimiter

LIMITER_VARIABLE = "MEMORIES_LIMITER"


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
