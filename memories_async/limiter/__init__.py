"""Rate limiters: when a request of an account may be sent. One process, one machine, or many."""

from typing import TYPE_CHECKING

from memories_async._lazy import later
from memories_async.limiter._in_process import InProcessLimiter, in_process
from memories_async.limiter._limits import Bucket, Limit, LimitInForce, Limits, Priority
from memories_async.limiter._rate_limiter import BucketStatus, LimiterStatus, Permit, RateLimiter

if TYPE_CHECKING:
    from memories_async.limiter._file import FileLimiter
    from memories_async.limiter._redis import RedisLimiter
else:
    __getattr__ = later(__name__, {"FileLimiter": "._file", "RedisLimiter": "._redis"})

__all__ = [
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
    "in_process",
]
