"""Waits for the service to process an upload, by asking for its status again and again.

A wait keeps to the rate limit of its endpoint, ends at its timeout at the latest, and can be resumed by
any process that knows the id.
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
"""Seconds between the first two requests: the documented rate limit, as a short video is soon ready."""
GROWTH = 1.5
LONGEST_INTERVAL = 30.0
"""Seconds between two requests at most."""
LAST_REQUEST_AT = 0.8
"""The part of the remaining time after which the last request is sent, if a whole interval does not fit."""
UNKNOWN_TIMEOUT = 60.0
"""Seconds after which an upload of an earlier run, unknown to the service, counts as deleted."""
TIMEOUT = 1800.0
"""Seconds that a wait takes at most by default."""


class Upload(Protocol):
    """What the service processes after an upload: a video or an asset."""

    @property
    def ready(self) -> bool: ...

    @property
    def failed(self) -> bool: ...


U = TypeVar("U", bound=Upload)


def _check_positive(_: object, attribute: Attribute[float], seconds: float) -> None:
    if not seconds > 0:
        raise ValueError(f"{attribute.name} must be above 0 seconds, not {seconds}")


@frozen
class PollSettings:
    """How long to wait for an upload, and how often to ask."""

    timeout: float = field(validator=_check_positive)
    interval: float = field(validator=_check_positive)
    unknown_timeout: float = inf
    """Seconds for which the service may not know the upload."""


async def wait_until_ready(
    client: Sender,
    call: Call[U | None],
    upload_id: str,
    settings: PollSettings,
    *,
    receiver: Receiver | None = None,
) -> U:
    """Send *call*, which asks for the status of *upload_id*, until the upload is ready or has failed.

    A callback to *receiver* only shortens a pause; the answer to *call* decides.
    """
    clock = asyncio.get_running_loop().time
    start, interval, is_last, seen = clock(), settings.interval, False, 0
    while True:
        upload, error = await _ask(client, call, start + settings.timeout)
        if upload is not None and upload.ready:
            return upload
        if upload is not None and upload.failed:
            reason = getattr(upload, "cause", None) or "no reason given"
            raise ProcessingFailed(f"{upload_id} could not be processed: {reason}", call=call.name)
        waited = clock() - start
        if upload is None and error is None and waited >= settings.unknown_timeout:
            raise ProcessingFailed(
                f"{upload_id} was uploaded before and is deleted; fresh=True uploads it again",
                call=call.name,
                billed="no",
            )
        remaining = settings.timeout - waited
        if is_last or remaining <= 0:
            raise _timeout_error(upload_id, call, settings) from error
        is_last = interval >= remaining
        pause = remaining * LAST_REQUEST_AT if is_last else interval
        if receiver is None:
            await asyncio.sleep(pause)
        else:
            callbacks = await receiver.wait_for_news(upload_id, timeout=pause, seen=seen)
            # A callback may precede the status that it announces, so it adds a request to the last.
            is_last, seen = is_last and callbacks <= seen, callbacks
        interval = min(interval * GROWTH, LONGEST_INTERVAL)


def _timeout_error(upload_id: str, call: Call[Any], settings: PollSettings) -> WaitTimeout:
    return WaitTimeout(
        f"{upload_id} is not ready after {settings.timeout:g} s; wait for it again later, "
        "here or in another process",
        call=call.name,
    )


async def _ask(
    client: Sender, call: Call[U | None], deadline: float
) -> tuple[U | None, Exception | None]:
    """Send *call* once; return its answer, or the error of a failure that may pass."""
    try:
        async with asyncio.timeout_at(deadline):
            return await client.send(call), None
    except TimeoutError as error:
        return None, error
    except MemoriesError as error:
        may_pass = isinstance(error, OutcomeUnknown) and not isinstance(error, BadReply)
        if not (error.transient or may_pass):
            raise
        return None, error
