"""Which limiter a client has that was given none: the variable `MEMORIES_LIMITER` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from memories_async.limiter._in_process import in_process
from memories_async.limiter._rate_limiter import RateLimiter

LIMITER_VARIABLE = "MEMORIES_LIMITER"


def limiter_from_environment(environment: Mapping[str, str] = os.environ) -> RateLimiter:
    """Read `MEMORIES_LIMITER`: `process` (the default), `file:/path` or `redis://...`.

    Raises `ValueError` for anything else, and `ImportError` for Redis without its extra.
    """
    return _build_limiter(environment.get(LIMITER_VARIABLE) or "process")


@cache
def _build_limiter(name: str) -> RateLimiter:
    scheme, _, rest = name.partition(":")
    if name == "process":
        return in_process
    # The shared limiters are imported by whoever shares one.
    if scheme == "file" and rest:
        from memories_async.limiter._file import FileLimiter  # noqa: PLC0415

        return FileLimiter(rest.removeprefix("//"))
    if scheme in {"redis", "rediss", "unix"}:
        from memories_async.limiter._redis import RedisLimiter  # noqa: PLC0415

        return RedisLimiter(name)
    raise ValueError(
        f"{LIMITER_VARIABLE} must be process, file:/path or redis://host:port/0, not one of {scheme!r}"
    )
