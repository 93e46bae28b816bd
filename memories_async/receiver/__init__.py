"""Captions that can be awaited: callbacks are received, stored durably, and returned to waiters."""

from memories_async.receiver._receiver import Receiver
from memories_async.receiver._records import (
    CallbackDelivery,
    CallbackRecord,
    RecordKey,
    Submission,
    Verdict,
)
from memories_async.receiver._sqlite_store import SqliteStore
from memories_async.receiver._stores import CallbackStore, MemoryStore

__all__ = [
    "CallbackDelivery",
    "CallbackRecord",
    "CallbackStore",
    "MemoryStore",
    "Receiver",
    "RecordKey",
    "SqliteStore",
    "Submission",
    "Verdict",
]
