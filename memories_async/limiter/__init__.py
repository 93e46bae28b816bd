"""Rate limiters: when a request of an account may be sent. One process, one machine, or many."""

from typing import TYPE_CHECKING

from memories_async._lazy import later
from memories_async.limiter._in_process import InProcessLimiter, in_process
from memories_async.limiter._limits import Bucket, Limit, LimitInForce, Limits, Priority
from memories_async.limiter._rate_limiter import BucketStatus, LimiterStatus, Permit, RateLimiter

if TYPE_CHECKING:
    from memories_async.limiter._choice import LIMITER_VARIABLE, parse_limiter
    from memories_async.limiter._file import FileLimiter, find_default
    from memories_async.limiter._redis import RedisLimiter
else:
    __getattr__ = later(
        __name__,
        {
            "FileLimiter": "._file",
            "LIMITER_VARIABLE": "._choice",
            "RedisLimiter": "._redis",
            "find_default": "._file",
            "parse_limiter": "._choice",
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
