"""Waiting for an upload to be processed, by looking again and again.

A wait stays inside the family's rate, ends by its deadline at the latest, and can be taken up again
by any process, for all it needs is the id.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import Attribute, field, frozen

from memories_async._client.sender import Sender
from memories_async._protocol.call import Call
from memories_async.errors import (
    BadReply,
    MemoriesError,
    OutcomeUnknown,
    ProcessingFailed,
    WaitTimeout,
)

if TYPE_CHECKING:
    from memories_async.receiver import Receiver

FIRST_INTERVAL = 1.0
"""Seconds between the first two looks: the documented rate's, for a short video is soon ready."""
GROWTH = 1.5
LONGEST_INTERVAL = 30.0
"""Seconds between two looks at most, as in the service's own code."""
LAST_LOOK = 0.8
"""Where in the rest of the time the last look is taken, if a whole interval does not fit."""
PATIENCE = 60.0
"""Seconds for which an upload of long ago may be unknown before it counts as deleted."""
TIMEOUT = 1800.0
"""Seconds that a wait takes at most by default."""


class Processed(Protocol):
    """What the service works on after an upload."""

    @property
    def ready(self) -> bool: ...

    @property
    def failed(self) -> bool: ...


S = TypeVar("S", bound=Processed)


def _positive(_: object, attribute: Attribute[float], seconds: float) -> None:
    if not seconds > 0:
        raise ValueError(f"{attribute.name} must be above 0 seconds, not {seconds}")


@frozen
class Patience:
    """How long and how often to look."""

    timeout: float = field(validator=_positive)
    interval: float = field(validator=_positive)
    unknown: float = inf
    """Seconds for which it may be unknown to the service."""


async def settled(
    client: Sender,
    question: Call[S | None],
    name: str,
    patience: Patience,
    *,
    bell: Receiver | None = None,
) -> S:
    """Ask *question*, about what is called *name*, until the answer is ready or hopeless.

    A callback to the receiver *bell* only cuts a pause short: what counts is the answer.
    """
    clock = asyncio.get_running_loop().time
    begun, interval, is_last = clock(), patience.interval, False
    while True:
        found, trouble = await _asked(client, question, begun + patience.timeout)
        if found is not None and found.ready:
            return found
        _check(found, name, question)
        if found is None and trouble is None and clock() - begun >= patience.unknown:
            raise ProcessingFailed(
                f"{name} was uploaded before, and is not there any more; fresh=True uploads anew",
                call=question.name,
                billed="no",
            )
        left = begun + patience.timeout - clock()
        if is_last or left <= 0:
            raise _in_vain(name, question, patience) from trouble
        is_last = interval >= left
        pause = left * LAST_LOOK if is_last else interval
        if bell is None:
            await asyncio.sleep(pause)
        elif await bell.wait_for_news(name, timeout=pause):
            bell, is_last = None, False
        interval = min(interval * GROWTH, LONGEST_INTERVAL)


def _check(found: Processed | None, name: str, question: Call[Any]) -> None:
    if found is not None and found.failed:
        reason = getattr(found, "cause", None) or "no reason given"
        raise ProcessingFailed(f"{name} could not be processed: {reason}", call=question.name)


def _in_vain(name: str, question: Call[Any], patience: Patience) -> WaitTimeout:
    return WaitTimeout(
        f"{name} is not ready after {patience.timeout:g} s; wait for it again later, "
        "here or in another process",
        call=question.name,
    )


async def _asked(
    client: Sender, question: Call[S | None], deadline: float
) -> tuple[S | None, Exception | None]:
    """Look once; a look that failed, or that took too long, says nothing."""
    try:
        async with asyncio.timeout_at(deadline):
            return await client.send(question), None
    except TimeoutError as error:
        return None, error
    except MemoriesError as error:
        # A service that is not well for a moment is no reason to give up a wait of minutes.
        passing = isinstance(error, OutcomeUnknown) and not isinstance(error, BadReply)
        if not (error.transient or passing):
            raise
        return None, error
