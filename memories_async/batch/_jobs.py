"""Prepares a batch's items in a thread: builds calls, hashes media, decodes the replies of paid ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define

from memories_async._client.call_reporter import name_item
from memories_async._client.call_runner import CallRunner
from memories_async._client.settings import Settings
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.batch._source import Item, build_call
from memories_async.batch._values import Outcome
from memories_async.errors import MemoriesError
from memories_async.ledger._claimed import Claimed
from memories_async.ledger._coordinator import (
    Claim,
    Coordinator,
    OtherAccount,
    Paid,
    Unknown,
    build_entry_key,
    is_recorded,
)
from memories_async.ledger._reader import EntryReader
from memories_async.ledger._schema import EntryKey

K = TypeVar("K")
T = TypeVar("T")

OpenCall: TypeAlias = Callable[[Call[Any], object], CallRunner]
"""Makes the runner of an item's call, from the call and the item's key."""
SLICE = 0.05
"""Seconds of hashing after which the items prepared so far are passed on."""


@define(eq=False)
class Job(Generic[K, T]):
    """One item: its key in the ledger, if it is recorded, and its claim once there is one."""

    key: K
    call: Call[T]
    runner: CallRunner
    entry_key: EntryKey | None = None
    claim: Claim | None = None

    def succeed(self, answer: T) -> Outcome[K, T]:
        """Build the outcome of an item with an answer."""
        is_sent = isinstance(self.claim, Claimed) and not self.claim.is_replayed
        replayed = self.claim is not None and not is_sent
        return Outcome(
            key=self.key,
            call=self.call,
            answer=answer,
            billed="no" if replayed or self.call.is_free else "yes",
            replayed=replayed,
        )

    def fail(self, error: Exception) -> Outcome[K, T]:
        """Build the outcome of an item with an error."""
        if isinstance(error, MemoriesError):
            error.tag = self.call.tag
        return Outcome(
            key=self.key,
            call=self.call,
            error=error,
            billed=error.billed if isinstance(error, MemoriesError) else "no",
            replayed=isinstance(self.claim, Paid | Unknown | OtherAccount),
        )


def prepare_jobs(
    items: Sequence[Item[K, T]],
    coordinator: Coordinator | None,
    settings: Settings,
    open_call: OpenCall,
) -> list[Job[K, T] | Outcome[K, T]]:
    """Prepare the first of *items*, or all of them if that is quick.

    An item that the ledger answers, or that cannot be built or read, comes back as its outcome.
    """
    until = time.monotonic() + SLICE
    prepared: list[Job[K, T] | Outcome[K, T]] = []
    for key, call in items:
        try:
            built = build_call(call)
            job = Job(key, built, open_call(built, key))
            prepared.append(_prepare_job(job, coordinator, settings))
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
    return coordinator.store.read_now(lambda reader: _answer_paid(reader, prepared))


def _prepare_job(
    job: Job[K, T], coordinator: Coordinator | None, settings: Settings
) -> Job[K, T] | Outcome[K, T]:
    call = job.call
    if coordinator is None or not is_recorded(call):
        return job
    account, price = settings.account(call), settings.price(call.unit)
    try:
        job.entry_key = build_entry_key(call, account, item=name_item(job.key), price=price)
    except (MemoriesError, OSError) as error:
        return job.fail(error)
    return job


def _answer_paid(
    reader: EntryReader, prepared: Sequence[Job[K, T] | Outcome[K, T]]
) -> list[Job[K, T] | Outcome[K, T]]:
    keys = [
        bytes.fromhex(job.entry_key.key)
        for job in prepared
        if isinstance(job, Job) and job.entry_key is not None
    ]
    replies = reader.find_replies(keys)
    return [
        _replay(job, replies) if isinstance(job, Job) and job.entry_key is not None else job
        for job in prepared
    ]


def _replay(
    job: Job[K, T], replies: Mapping[bytes, tuple[int | None, bytes]]
) -> Job[K, T] | Outcome[K, T]:
    assert job.entry_key is not None
    status, body = replies.get(bytes.fromhex(job.entry_key.key), (None, None))
    if body is None:
        return job
    job.claim = Paid(Reply(status=status or 200, body=body))
    try:
        return job.succeed(job.call.read(job.claim.reply))
    except MemoriesError as error:
        return job.fail(error)
