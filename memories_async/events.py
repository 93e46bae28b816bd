"""What happens during a call, as values, for logs, metrics and traces.

No event holds a key, a prompt or a medium.
"""

from __future__ import annotations

import logging
from typing import Protocol

from attrs import frozen

from memories_async.errors import MemoriesError

logger: logging.Logger = logging.getLogger("memories_async")


def show_log(level: int) -> None:
    """Write the log from *level* on to the standard error stream, unless the program handles it."""
    logger.setLevel(level)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)


@frozen(kw_only=True)
class Sending:
    """A request is about to leave; it had its permit."""

    call: str
    attempt: int
    waited: float
    """Seconds spent in line for this permit."""


@frozen(kw_only=True)
class Answered:
    """A call ended with an answer."""

    call: str
    attempt: int
    status: int
    seconds: float
    """From the permit to the end of the reply."""


@frozen(kw_only=True)
class Failed:
    """An attempt ended without an answer."""

    call: str
    attempt: int
    error: MemoriesError


@frozen(kw_only=True)
class Waiting:
    """The call will be tried again."""

    call: str
    attempt: int
    """How many were begun so far."""
    seconds: float


@frozen(kw_only=True)
class Degraded:
    """The store of the shared limiter cannot be used: the permit came from a slow rate of this process."""

    call: str
    attempt: int
    reason: str


Event = Sending | Answered | Failed | Waiting | Degraded


class Observer(Protocol):
    """Told of every event as it happens, on the event loop: be quick, and never raise."""

    def __call__(self, event: Event, /) -> None: ...


def log(event: Event) -> None:
    """Write *event* to the logger `memories_async`: failures and waits at INFO."""
    match event:
        case Sending():
            logger.debug("%s: sending, attempt %d", event.call, event.attempt)
        case Answered():
            logger.debug("%s: answered after %.3f s", event.call, event.seconds)
        case Failed():
            logger.info("%s", event.error)
        case Degraded():
            logger.debug("%s: at a slow rate, since %s", event.call, event.reason)
        case _:
            logger.info("%s: next attempt in %.1f s", event.call, event.seconds)
