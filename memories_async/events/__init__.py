"""What happens during a call, as values, for logs, metrics and traces.

`Client(observers=[...])` takes functions, which are called with these values. A call is told by one
`Began` and one `Ended`, with the same `call_id`: also where it was cancelled, or answered from a
ledger. Between them each attempt is told by `Waiting`, `Sending` and `Sent`, then by `Answered` or
`Failed`; neither of these two comes for an attempt that was cancelled.

No event holds a key, a prompt or a medium. Times are in seconds.
"""

from memories_async.events._log import (
    CallLogger,
    CurrentCall,
    current_call,
    find_trace,
    log,
    logger,
    show_log,
    tell,
    tell_waiting,
)
from memories_async.events._values import (
    Answered,
    BatchBegan,
    BatchEnded,
    Began,
    BucketPaused,
    BucketResumed,
    CallbackKind,
    CallbackReceived,
    CallEvent,
    CallOutcome,
    Degraded,
    Ended,
    Event,
    Failed,
    Observer,
    Sending,
    Sent,
    Waiting,
    WaitReason,
)

__all__ = [
    "Answered",
    "BatchBegan",
    "BatchEnded",
    "Began",
    "BucketPaused",
    "BucketResumed",
    "CallEvent",
    "CallLogger",
    "CallOutcome",
    "CallbackKind",
    "CallbackReceived",
    "CurrentCall",
    "Degraded",
    "Ended",
    "Event",
    "Failed",
    "Observer",
    "Sending",
    "Sent",
    "WaitReason",
    "Waiting",
    "current_call",
    "find_trace",
    "log",
    "logger",
    "show_log",
    "tell",
    "tell_waiting",
]
