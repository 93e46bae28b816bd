"""Waits for the service to process an upload, by asking for its status again and again; sends flows.

A wait keeps to the rate limit of its endpoint, ends at its timeout at the latest, and can be resumed by
any process that knows the id.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, evolve, field, frozen

from memories_async._protocol.arguments import SECONDS
from memories_async._protocol.call import Call, Progress
from memories_async._protocol.flow import Flow
from memories_async.errors import (
    BadReply,
    MemoriesError,
    OutcomeUnknown,
    ProcessingFailed,
    WaitTimeout,
)

if TYPE_CHECKING:
    from memories_async.receiver import Receiver

GROWTH = 1.5
LONGEST_INTERVAL = 30.0
"""Seconds between two requests at most."""
LAST_REQUEST_AT = 0.8
"""The part of the remaining time after which the last request is sent, if a whole interval does not fit."""
UNKNOWN_TIMEOUT = 60.0
"""Seconds after which an upload of an earlier run, unknown to the service, counts as deleted."""


T = TypeVar("T")


class CallSender(Protocol):
    """What a wait needs of a client."""

    async def send(self, call: Call[T], *, fresh: bool = False) -> T: ...

    @property
    def receiver(self) -> Receiver | None: ...


class Upload(Protocol):
    """What the service processes after an upload: a video or an asset."""

    @property
    def ready(self) -> bool: ...

    @property
    def failed(self) -> bool: ...


U = TypeVar("U", bound=Upload)


@frozen
class PollSettings:
    """How long to wait for an upload, and how often to ask."""

    timeout: float = field(validator=SECONDS)
    interval: float = field(validator=SECONDS)
    unknown_timeout: float = inf
    """Seconds for which the service may not know the upload."""


@define
class ProgressTracker:
    """Forwards an upload's progress, and records whether anything was uploaded."""

    progress: Progress | None
    has_uploaded: bool = field(default=False, init=False)

    def __call__(self, sent: int, size: int) -> None:
        self.has_uploaded = True
        if self.progress is not None:
            self.progress(sent, size)

    def adjust(self, settings: PollSettings) -> PollSettings:
        """Shorten the wait for an upload that came from the ledger: the service may have deleted it."""
        if self.has_uploaded:
            return settings
        return evolve(settings, unknown_timeout=UNKNOWN_TIMEOUT)


async def run_flow(client: CallSender, flow: Flow[T], *, fresh: bool = False) -> T:
    """Send the upload of *flow*, wait until it can be used, and send the call; *fresh* pays both anew.

    The error of what comes after the upload has a note with the upload's id.
    """
    track = ProgressTracker(flow.upload.progress)
    upload_id = flow.read_id(await client.send(evolve(flow.upload, progress=track), fresh=fresh))
    try:
        await wait_for_upload(client, flow, upload_id, is_new=track.has_uploaded)
        return await client.send(flow.build_call(upload_id), fresh=fresh)
    except (MemoriesError, asyncio.CancelledError) as error:
        # `billed` is about the call that failed.
        error.add_note(f"{flow.upload.name} was paid: its {flow.id_field} is {upload_id}")
        raise


async def wait_for_upload(
    client: CallSender, flow: Flow[Any], upload_id: str, *, is_new: bool
) -> None:
    """Wait until the upload of *flow* can be used; one that is not *is_new* may be deleted by now."""
    settings = PollSettings(flow.timeout, flow.interval)
    if not is_new:
        settings = evolve(settings, unknown_timeout=UNKNOWN_TIMEOUT)
    question, receiver = flow.ask(upload_id), client.receiver
    await wait_until_ready(client, question, upload_id, settings, receiver=receiver)


async def wait_until_ready(
    client: CallSender,
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
    client: CallSender, call: Call[U | None], deadline: float
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
