"""An asyncio client for the video APIs of memories.ai: search clips, caption and embed videos.

    async with Client() as client:  # reads MEMORIES_API_KEY
        video = await client.videos.add("holiday.mp4")
        clips = await client.clips.search(
            "query.png", prompt="the red shirt", video_no=video.video_no
        )

`Client` is the asynchronous client and `blocking.Client` the one for code that does not await; both
have `clips`, `captions`, `embeddings`, `videos` and `assets`. `Policy` sets time limits and retries,
`Limits` the rates, `Ledger` a durable record that answers repeated calls, `Receiver` the address for
callbacks. Every error is a `MemoriesError`, whose `billed` says whether the call was charged; a
wrong argument is a `ValueError` or `TypeError`. Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from memories_async._lazy import later
from memories_async._version import __version__

if TYPE_CHECKING:
    from memories_async import assets, blocking, calls, captions, clips, embeddings, errors, videos
    from memories_async._client.settings import Hosts
    from memories_async._protocol.call import Call
    from memories_async._protocol.flow import Flow
    from memories_async.assets import Asset
    from memories_async.batch import Outcome
    from memories_async.budget import Budget
    from memories_async.calls import Exchange
    from memories_async.captions import Caption, CaptionTask, Person, Tokens
    from memories_async.client import Client
    from memories_async.clips import Clip
    from memories_async.embeddings import Embedding
    from memories_async.errors import (
        AuthenticationFailed,
        BadReply,
        BudgetExceeded,
        CallbackTimeout,
        CaptionFailed,
        Conflict,
        InsufficientCredits,
        InvalidRequest,
        MemoriesError,
        NotSent,
        OutcomeUnknown,
        PermissionDenied,
        ProcessingFailed,
        RateLimited,
        Refused,
        UnclearUpload,
        WaitTimeout,
    )
    from memories_async.film import FilmPlan, LongCaption
    from memories_async.ledger import Ledger
    from memories_async.limiter import (
        FileLimiter,
        InProcessLimiter,
        Limit,
        Limits,
        RateLimiter,
        RedisLimiter,
    )
    from memories_async.policy import Policy
    from memories_async.receiver import Receiver
    from memories_async.videos import Video
else:
    __getattr__ = later(
        __name__,
        {
            "Asset": ".assets",
            "AuthenticationFailed": ".errors",
            "BadReply": ".errors",
            "Budget": ".budget",
            "BudgetExceeded": ".errors",
            "Call": "._protocol.call",
            "CallbackTimeout": ".errors",
            "Caption": ".captions",
            "CaptionFailed": ".errors",
            "CaptionTask": ".captions",
            "FilmPlan": ".film",
            "LongCaption": ".film",
            "Client": ".client",
            "Clip": ".clips",
            "Conflict": ".errors",
            "Embedding": ".embeddings",
            "Exchange": ".calls",
            "FileLimiter": ".limiter",
            "Flow": "._protocol.flow",
            "Hosts": "._client.settings",
            "InProcessLimiter": ".limiter",
            "InsufficientCredits": ".errors",
            "InvalidRequest": ".errors",
            "Ledger": ".ledger",
            "Limit": ".limiter",
            "Limits": ".limiter",
            "MemoriesError": ".errors",
            "NotSent": ".errors",
            "Outcome": ".batch",
            "OutcomeUnknown": ".errors",
            "RateLimiter": ".limiter",
            "PermissionDenied": ".errors",
            "Person": ".captions",
            "Policy": ".policy",
            "ProcessingFailed": ".errors",
            "RateLimited": ".errors",
            "Receiver": ".receiver",
            "RedisLimiter": ".limiter",
            "Refused": ".errors",
            "Tokens": ".captions",
            "Video": ".videos",
            "UnclearUpload": ".errors",
            "WaitTimeout": ".errors",
            "assets": ".assets",
            "blocking": ".blocking",
            "calls": ".calls",
            "captions": ".captions",
            "clips": ".clips",
            "embeddings": ".embeddings",
            "errors": ".errors",
            "videos": ".videos",
        },
        {
            **dict.fromkeys(
                ("AsyncClient", "AsyncMemories", "MemoriesClient", "Memories", "MemoriesAI"),
                "Client is the asynchronous client, blocking.Client the one without await",
            ),
            **dict.fromkeys(("BlockingClient", "SyncClient"), "use memories_async.blocking.Client"),
            **dict.fromkeys(("Timeout", "Retry", "RetryPolicy"), "use Policy"),
            **dict.fromkeys(("APIError", "APIStatusError"), "use MemoriesError"),
            **dict.fromkeys(
                ("APIConnectionError", "APITimeoutError"),
                "use NotSent where nothing was sent, OutcomeUnknown where the call may be charged",
            ),
            "AuthenticationError": "use AuthenticationFailed",
            "BadRequestError": "use InvalidRequest",
            "RateLimitError": "use RateLimited",
            "Batch": "use client.batch(...)",
            "LocalService": "import it from memories_async.local",
            "Report": "import it from memories_async.report",
            "Telemetry": "import it from memories_async.telemetry",
            "Vectors": "import it from memories_async.vectors",
        },
    )


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "Asset",
    "AuthenticationFailed",
    "BadReply",
    "Budget",
    "BudgetExceeded",
    "Call",
    "CallbackTimeout",
    "Caption",
    "CaptionFailed",
    "CaptionTask",
    "Client",
    "Clip",
    "Conflict",
    "Embedding",
    "Exchange",
    "FileLimiter",
    "FilmPlan",
    "Flow",
    "Hosts",
    "InProcessLimiter",
    "InsufficientCredits",
    "InvalidRequest",
    "Ledger",
    "Limit",
    "Limits",
    "LongCaption",
    "MemoriesError",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "PermissionDenied",
    "Person",
    "Policy",
    "ProcessingFailed",
    "RateLimited",
    "RateLimiter",
    "Receiver",
    "RedisLimiter",
    "Refused",
    "Tokens",
    "UnclearUpload",
    "Video",
    "WaitTimeout",
    "__version__",
    "assets",
    "blocking",
    "calls",
    "captions",
    "clips",
    "embeddings",
    "errors",
    "videos",
]
