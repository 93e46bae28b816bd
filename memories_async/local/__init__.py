"""The embedded service: memories.ai's three APIs on loopback, computed from real video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memories_async._lazy import later

if TYPE_CHECKING:
    from memories_async.local.inbox import Inbox
    from memories_async.local.jobs.callbacks import Callbacks, Delivery
    from memories_async.local.service import LocalService
    from memories_async.local.state.accounts import Account, Entry
    from memories_async.local.state.faults import Fault
    from memories_async.local.state.library import LocalVideo
    from memories_async.local.state.page_limits import Rules
    from memories_async.local.state.rate_limits import Rate
    from memories_async.local.state.request_log import Seen
    from memories_async.local.state.wire import Dialect
else:
    # An engine can be had without the web server that the service runs on.
    __getattr__ = later(
        __name__,
        {
            "Account": ".state.accounts",
            "Callbacks": ".jobs.callbacks",
            "Delivery": ".jobs.callbacks",
            "Entry": ".state.accounts",
            "Dialect": ".state.wire",
            "Fault": ".state.faults",
            "Inbox": ".inbox",
            "LocalService": ".service",
            "LocalVideo": ".state.library",
            "Rate": ".state.rate_limits",
            "Rules": ".state.page_limits",
            "Seen": ".state.request_log",
        },
    )


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "Account",
    "Callbacks",
    "Delivery",
    "Dialect",
    "Entry",
    "Fault",
    "Inbox",
    "LocalService",
    "LocalVideo",
    "Rate",
    "Rules",
    "Seen",
]
