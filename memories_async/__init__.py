"""The public names of memories_async."""

from importlib import import_module
from typing import TYPE_CHECKING

from memories_async import assets, captions, clips, embeddings, errors, videos
from memories_async._calls import Call
from memories_async._hosts import Hosts
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

# What not every program uses is imported when it is first named.
_LATER = {
    "FilePace": "memories_async._pace.file",
    "Ledger": "memories_async.ledger",
    "Outcome": "memories_async.batch",
    "Receiver": "memories_async.receiver",
    "RedisPace": "memories_async._pace.redis",
    "blocking": "memories_async.blocking",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_LATER[name])
    value: object = getattr(module, name, module)
    globals()[name] = value
    return value


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
