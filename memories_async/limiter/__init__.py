"""Rate limiters: when a request of an account may be sent. One process, one machine, or many."""

from typing import TYPE_CHECKING

from memories_async._lazy import later
from memories_async.limiter._in_process import InProcessLimiter, in_process
from memories_async.limiter._limits import (
    Bucket,
    BucketStatus,
    Limit,
    LimiterStatus,
    LimitInForce,
    Limits,
    Permit,
    Priority,
    RateLimiter,
)

if TYPE_CHECKING:
    from memories_async.limiter._file import (
        LIMITER_VARIABLE,
        FileLimiter,
        find_default,
        parse_limiter,
    )
    from memories_async.limiter._redis import RedisLimiter
else:
    __getattr__ = later(
        __name__,
        {
            "FileLimiter": "._file",
            "LIMITER_VARIABLE": "._file",
            "RedisLimiter": "._redis",
            "find_default": "._file",
            "parse_limiter": "._file",
        },
    )

__all__ = [
    "LIMITER_VARIABLE",
    "Bucket",
    "BucketStatus",
    "FileLimiter",
    "InProcessLimiter",
    "Limit",
    "LimitInForce",
    "LimiterStatus",
    "Limits",
    "Permit",
    "Priority",
    "RateLimiter",
    "RedisLimiter",
    "find_default",
    "in_process",
    "parse_limiter",
]
