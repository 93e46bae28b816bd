"""Many calls at once: rate-limited, recorded, resumable, and stopped without losing anything."""

from memories_async.batch._batch import Batch
from memories_async.batch._run import OnUnknown
from memories_async.batch._source import Calls
from memories_async.batch._values import Outcome, Plan, Progress

__all__ = ["Batch", "Calls", "OnUnknown", "Outcome", "Plan", "Progress"]
