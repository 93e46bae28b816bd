"""Which pace a client has that was given none: the variable `MEMORIES_PACE` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from memories_async.limiter._in_process import Pace, in_process

PACE_VARIABLE = "MEMORIES_PACE"


def pace_from_environment(environment: Mapping[str, str] = os.environ) -> Pace:
    """Read `MEMORIES_PACE`: `process` (the default), `file:/path` or `redis://...`.

    Raises `ValueError` for anything else, and `ImportError` for Redis without its extra.
    """
    return _named(environment.get(PACE_VARIABLE) or "process")


@cache
def _named(name: str) -> Pace:
    scheme, _, rest = name.partition(":")
    if name == "process":
        return in_process
    # The shared paces are imported by whoever shares one.
    if scheme == "file" and rest:
        from memories_async.limiter._file import FilePace  # noqa: PLC0415

        return FilePace(rest.removeprefix("//"))
    if scheme in {"redis", "rediss", "unix"}:
        from memories_async.limiter._redis import RedisPace  # noqa: PLC0415

        return RedisPace(name)
    raise ValueError(
        f"{PACE_VARIABLE} must be process, file:/path or redis://host:port/0, not one of {scheme!r}"
    )
