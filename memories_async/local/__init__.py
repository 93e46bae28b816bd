"""The embedded service: memories.ai's three APIs on loopback, computed from real video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memories_async._lazy import later

if TYPE_CHECKING:
    from memories_async.local.inbox import Inbox
    from memories_async.local.jobs.callbacks import Callbacks, Delivery, Outbox
    from memories_async.local.service import LocalService
    from memories_async.local.state.accounts import Account, StatementEntry
    from memories_async.local.state.faults import Fault
    from memories_async.local.state.library import LocalVideo
    from memories_async.local.state.page_limits import PageLimits
    from memories_async.local.state.rate_limits import Rate
    from memories_async.local.state.request_log import LoggedRequest
    from memories_async.local.state.wire import Dialect
else:
    # An engine can be imported without the web server that the service runs on.
    __getattr__ = later(
        __name__,
        {
            "Account": ".state.accounts",
            "Callbacks": ".jobs.callbacks",
            "Delivery": ".jobs.callbacks",
            "Dialect": ".state.wire",
            "Fault": ".state.faults",
            "Inbox": ".inbox",
            "LocalService": ".service",
            "LocalVideo": ".state.library",
            "LoggedRequest": ".state.request_log",
            "Outbox": ".jobs.callbacks",
            "PageLimits": ".state.page_limits",
            "Rate": ".state.rate_limits",
            "StatementEntry": ".state.accounts",
        },
    )


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "Account",
    "Callbacks",
    "Delivery",
    "Dialect",
    "Fault",
    "Inbox",
    "LocalService",
    "LocalVideo",
    "LoggedRequest",
    "Outbox",
    "PageLimits",
    "Rate",
    "StatementEntry",
]
