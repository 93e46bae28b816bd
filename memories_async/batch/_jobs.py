"""Prepares a batch's items in a thread: builds calls, hashes media, decodes the replies of paid ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field

from memories_async._client.call_reporter import name_item
from memories_async._client.call_runner import CallRunner
from memories_async._client.settings import Settings
from memories_async._protocol.call import Call, derive_fingerprint, identify
from memories_async._protocol.flow import Flow
from memories_async._protocol.reply import Reply
from memories_async.batch._source import Item, build_call
from memories_async.batch._values import Outcome
from memories_async.errors import MemoriesError
from memories_async.ledger._claims import Claim, Claimed, Paid, Unknown
from memories_async.ledger._coordinator import Coordinator, build_entry_key, is_recorded
from memories_async.ledger._reader import EntryReader
from memories_async.ledger._schema import EntryKey

K = TypeVar("K")
T = TypeVar("T")

SLICE = 0.05
"""Seconds of hashing after which the items prepared so far are passed on."""


@define(eq=False)
class Job(Generic[K, T]):
    """One item: the call to send now, its key in the ledger if it is recorded, its claim if there is one.

    Of a flow, the upload is sent first; `continue_flow` then sets the call on what was uploaded.
    """

    key: K
    call: Call[Any]
    flow: Flow[T] | None = None
    upload: Outcome[K, Any] | None = None
    """How the upload of the flow ended; None while it is to be sent."""
    runner: CallRunner | None = None
    """Tells the observers of the call, once a worker has taken it."""
    fingerprint: str | None = None
    """The key in the ledger; None where the call is not recorded."""
    content: bytes = b""
    document: bytes = b""
    """What the call asks, hashed and as JSON: see `identify`."""
    claim: Claim | None = None

    @property
    def is_upload(self) -> bool:
        """Whether `call` is the upload of a flow."""
        return self.flow is not None and self.upload is None

    @property
    def upload_id(self) -> str:
        """The id of what the flow uploaded."""
        assert self.flow is not None
        assert self.upload is not None
        return self.flow.read_id(self.upload.answer)

    def succeed(self, answer: Any) -> Outcome[K, Any]:
        """Build the outcome of an item with an answer."""
        is_sent = isinstance(self.claim, Claimed) and not self.claim.is_replayed
        replayed = self.claim is not None and not is_sent
        return Outcome(
            key=self.key,
            call=self.call,
            answer=answer,
            billed="no" if replayed or self.call.is_free else "yes",
            replayed=replayed,
            upload=self.upload,
        )

    def fail(self, error: Exception) -> Outcome[K, Any]:
        """Build the outcome of an item with an error."""
        if isinstance(error, MemoriesError):
            error.tag = self.call.tag
        return Outcome(
            key=self.key,
            call=self.call,
            error=error,
            billed=error.billed if isinstance(error, MemoriesError) else "no",
            replayed=isinstance(self.claim, Paid | Unknown),
            upload=self.upload,
        )

    def identify(self, coordinator: Coordinator | None, settings: Settings) -> None:
        """Hash what a call asks that is recorded. Reads its media."""
        if coordinator is not None and is_recorded(self.call):
            self.content, self.document = identify(self.call)
            account = settings.account(self.call)
            self.fingerprint = derive_fingerprint(self.content, account)

    async def release(self) -> None:
        """Give up the claim; what was sent without an outcome is unknown."""
        if isinstance(self.claim, Claimed):
            await self.claim.close()

    def build_entry_key(self, settings: Settings) -> EntryKey | None:
        """Build the key of the ledger's entry; None where the call is not recorded."""
        if self.fingerprint is None:
            return None
        return build_entry_key(
            self.call,
            settings.account(self.call),
            identity=(self.content, self.document),
            item=name_item(self.key),
            price=settings.price(self.call.unit),
        )


@define(eq=False)
class WorkerHook:
    """Tells a batch when the request of one worker is out; see `AttemptHook`."""

    mark_sending: Callable[[bool], None]
    """Called when a request begins, and when one ends that another attempt follows."""
    is_sending: bool = field(default=False, init=False)

    async def sending(self) -> None:
        """Count the request, and keep the batch from cancelling it."""
        self.is_sending = True
        self.mark_sending(True)

    def sent(self) -> None:
        """Do nothing: the request counts since it had its permit."""

    async def answered(self, reply: Reply) -> None:
        """Do nothing: the worker ends the request."""

    async def failed(self, error: MemoriesError, *, final: bool) -> None:  # noqa: ARG002  # a hook's
        """Let the batch cancel the wait for the next attempt."""
        if self.is_sending and not final:
            self.is_sending = False
            self.mark_sending(False)

    def cancelled(self) -> None:
        """Note nothing: the worker ends the request."""


def continue_flow(
    job: Job[K, T],
    uploaded: Outcome[K, Any],
    coordinator: Coordinator | None,
    settings: Settings,
) -> Outcome[K, T] | None:
    """Set the call on what was *uploaded*; return the outcome of an item whose media cannot be read."""
    assert job.flow is not None
    job.upload, job.runner, job.fingerprint, job.claim = uploaded, None, None, None
    job.call = job.flow.build_call(job.upload_id)
    try:
        job.identify(coordinator, settings)
    except (MemoriesError, OSError) as error:
        return job.fail(error)
    return None


def prepare_jobs(
    items: Sequence[Item[K, T]], coordinator: Coordinator | None, settings: Settings
) -> list[Job[K, T] | Outcome[K, T]]:
    """Prepare the first of *items*, or all of them if that is quick.

    An item that the ledger answers, or that cannot be built or read, comes back as its outcome.
    """
    until = time.monotonic() + SLICE
    prepared: list[Job[K, T] | Outcome[K, T]] = []
    for key, call in items:
        try:
            prepared.append(_prepare_job(key, build_call(call), coordinator, settings))
        except Exception as error:  # noqa: BLE001  # a builder may raise anything: it is one item's
            prepared.append(Outcome(key=key, call=None, error=error))
        except BaseException:  # of `sys.exit`, say: raised again once the items before it are sent
            if not prepared:
                raise
            break
        if time.monotonic() > until:
            break
    if coordinator is None:
        return prepared
    return coordinator.store.read_now(
        lambda reader: _answer_paid(reader, prepared, coordinator, settings)
    )


def _prepare_job(
    key: K, call: Call[T] | Flow[T], coordinator: Coordinator | None, settings: Settings
) -> Job[K, T] | Outcome[K, T]:
    flow = call if isinstance(call, Flow) else None
    job = Job(key, call.upload if isinstance(call, Flow) else call, flow)
    try:
        job.identify(coordinator, settings)
    except (MemoriesError, OSError) as error:
        return job.fail(error)
    return job


def _answer_paid(
    reader: EntryReader,
    prepared: list[Job[K, T] | Outcome[K, T]],
    coordinator: Coordinator,
    settings: Settings,
) -> list[Job[K, T] | Outcome[K, T]]:
    """Replace the jobs that the ledger answers by their outcomes; continue flows whose upload it has."""
    found = _replay_all(reader, prepared)
    for at, one in enumerate(found):
        if isinstance(one, Outcome) and one.error is None:
            job = prepared[at]
            if isinstance(job, Job) and job.is_upload:
                found[at] = continue_flow(job, one, coordinator, settings) or job
    if any(isinstance(one, Job) and one.upload is not None for one in found):
        return _replay_all(reader, found)
    return found


def _replay_all(
    reader: EntryReader, prepared: Sequence[Job[K, T] | Outcome[K, T]]
) -> list[Job[K, T] | Outcome[K, T]]:
    keys = [one.fingerprint for one in prepared if isinstance(one, Job) and one.fingerprint]
    replies = reader.find_replies(keys) if keys else {}
    return [
        _replay(one, replies[one.fingerprint])
        if isinstance(one, Job) and one.fingerprint in replies
        else one
        for one in prepared
    ]


def _replay(job: Job[K, T], reply: Reply) -> Outcome[K, T]:
    try:
        answer = job.call.read(reply)
    except MemoriesError as error:
        job.claim = Paid(reply)
        return job.fail(error)
    return Outcome(key=job.key, call=job.call, answer=answer, replayed=True, upload=job.upload)
