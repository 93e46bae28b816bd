"""Captions that can be awaited: callbacks received, stored durably, and handed to who waits."""

from memories_async.receiver._memory import MemoryStore
from memories_async.receiver._receiver import Receiver
from memories_async.receiver._records import Arrival, Record, Ticket, Verdict
from memories_async.receiver._sqlite import SqliteStore
from memories_async.receiver._store import Settler, Store

__all__ = [
    "Arrival",
    "MemoryStore",
    "Receiver",
    "Record",
    "Settler",
    "SqliteStore",
    "Store",
    "Ticket",
    "Verdict",
]
