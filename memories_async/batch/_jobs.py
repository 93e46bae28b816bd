"""Prepares a batch's items: hashes media, looks up paid replies and decodes them. Runs in a thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from attrs import define

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.batch._source import Item
from memories_async.batch._values import Outcome
from memories_async.errors import MemoriesError
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

SLICE = 0.05
"""Seconds of hashing after which the items prepared so far are passed on."""


@define(eq=False)
class Job(Generic[K, T]):
    """One item: its key in the ledger, if it is recorded, and its claim once there is one."""

    key: K
    call: Call[T]
    entry_key: EntryKey | None = None
    claim: Claim | None = None
    outcome: Outcome[K, T] | None = None
    """Set where nothing needs to be sent."""

    def succeed(self, answer: T) -> Outcome[K, T]:
        """Build the outcome of an item with an answer."""
        replayed = isinstance(self.claim, Paid | Unknown | OtherAccount)
        return Outcome(
            key=self.key,
            call=self.call,
            answer=answer,
            billed="no" if replayed or self.call.is_free else "yes",
            replayed=replayed,
        )

    def fail(self, error: Exception) -> Outcome[K, T]:
        """Build the outcome of an item with an error."""
        return Outcome(
            key=self.key,
            call=self.call,
            error=error,
            billed=error.billed if isinstance(error, MemoriesError) else "no",
            replayed=isinstance(self.claim, Paid | Unknown | OtherAccount),
        )


def prepare_jobs(
    items: Sequence[Item[K, T]], coordinator: Coordinator | None, settings: Settings
) -> list[Job[K, T]]:
    """Prepare the first of *items*, or all of them if their media are quickly read."""
    until = time.monotonic() + SLICE
    jobs: list[Job[K, T]] = []
    for key, call in items:
        job = Job(key, call)
        if coordinator is not None and is_recorded(call):
            account, price = settings.account(call), settings.price(call.unit)
            try:
                job.entry_key = build_entry_key(call, account, item=str(key), price=price)
            except (MemoriesError, OSError) as error:
                job.outcome = job.fail(error)
        jobs.append(job)
        if time.monotonic() > until:
            break
    if coordinator is not None:
        coordinator.store.read_now(lambda reader: _answer_paid(reader, jobs))
    return jobs


def _answer_paid(reader: EntryReader, jobs: Sequence[Job[Any, Any]]) -> None:
    wanted = [(job, bytes.fromhex(job.entry_key.key)) for job in jobs if job.entry_key is not None]
    replies = reader.find_replies([key for _, key in wanted])
    for job, key in wanted:
        if key not in replies:
            continue
        status, body = replies[key]
        job.claim = Paid(Reply(status=status or 200, body=body))
        try:
            job.outcome = job.succeed(job.call.read(job.claim.reply))
        except MemoriesError as error:
            job.outcome = job.fail(error)
