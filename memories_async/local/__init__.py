"""The embedded service: memories.ai's three APIs on loopback, computed from real video."""

from __future__ import annotations

from memories_async.local.accounts import Account, Entry
from memories_async.local.callbacks import Callbacks, Delivery
from memories_async.local.faults import Fault
from memories_async.local.inbox import Inbox
from memories_async.local.journal import Seen
from memories_async.local.library import LocalVideo
from memories_async.local.limits import Rate
from memories_async.local.rules import Rules
from memories_async.local.service import LocalService
from memories_async.local.wire import Era

__all__ = [
    "Account",
    "Callbacks",
    "Delivery",
    "Entry",
    "Era",
    "Fault",
    "Inbox",
    "LocalService",
    "LocalVideo",
    "Rate",
    "Rules",
    "Seen",
]
