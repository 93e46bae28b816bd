"""The public names of memories_async."""

from typing import TYPE_CHECKING

from memories_async import assets, captions, clips, embeddings, errors, videos
from memories_async._calls import Call
from memories_async._hosts import Hosts
from memories_async._later import later
from memories_async._pace.in_process import InProcessPace, Limit, Limits, Pace
from memories_async._policy import Policy
from memories_async._version import __version__
from memories_async.assets import Asset
from memories_async.budget import Budget
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
    WaitTimeout,
)
from memories_async.videos import Video

if TYPE_CHECKING:
    from memories_async import blocking
    from memories_async._pace.file import FilePace
    from memories_async._pace.redis import RedisPace
    from memories_async.batch import Outcome
    from memories_async.ledger import Ledger
    from memories_async.receiver import Receiver
else:
    # What not every program uses; type checkers are to know the names above, and no others.
    __getattr__ = later(
        __name__,
        {
            "FilePace": "._pace.file",
            "Ledger": ".ledger",
            "Outcome": ".batch",
            "Receiver": ".receiver",
            "RedisPace": "._pace.redis",
            "blocking": ".blocking",
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
    "FilePace",
    "Hosts",
    "InProcessPace",
    "InsufficientCredits",
    "InvalidRequest",
    "Ledger",
    "Limit",
    "Limits",
    "MemoriesError",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Pace",
    "PermissionDenied",
    "Person",
    "Policy",
    "ProcessingFailed",
    "RateLimited",
    "Receiver",
    "RedisPace",
    "Refused",
    "Tokens",
    "Video",
    "WaitTimeout",
    "__version__",
    "assets",
    "blocking",
    "captions",
    "clips",
    "embeddings",
    "errors",
    "videos",
]
