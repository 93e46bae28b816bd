"""The embedded service: memories.ai's three APIs on loopback, computed from real video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memories_async._later import later

if TYPE_CHECKING:
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
else:
    # An engine can be had without the web server that the service runs on.
    __getattr__ = later(
        __name__,
        {
            "Account": ".accounts",
            "Callbacks": ".callbacks",
            "Delivery": ".callbacks",
            "Entry": ".accounts",
            "Era": ".wire",
            "Fault": ".faults",
            "Inbox": ".inbox",
            "LocalService": ".service",
            "LocalVideo": ".library",
            "Rate": ".limits",
            "Rules": ".rules",
            "Seen": ".journal",
        },
    )


def __dir__() -> list[str]:
    return __all__


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
