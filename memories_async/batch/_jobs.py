"""A batch's items on their way: put into the ledger's terms, and those it has answered set aside.

Everything here runs in a thread: it hashes media, reads the ledger and decodes kept answers.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.batch._source import Item
from memories_async.batch._values import Outcome
from memories_async.errors import MemoriesError
from memories_async.ledger import _tables
from memories_async.ledger._claims import Claim, Doubt, Paid
from memories_async.ledger._coordinator import Desk, ask_for, is_recorded
from memories_async.ledger._tables import Ask

K = TypeVar("K")
T = TypeVar("T")

SLICE = 0.05
"""Seconds of hashing after which the items so far go on their way."""


_KEPT = (Paid, Doubt)


@define(eq=False)
class Job(Generic[K, T]):
    """One item: its *ask* where the ledger keeps it, its *claim* once it was made."""

    key: K
    call: Call[T]
    ask: Ask | None = None
    claim: Claim | None = None
    outcome: Outcome[K, T] | None = None
    """Where nothing needs to be sent."""

    def answered(self, answer: T) -> Outcome[K, T]:
        """The outcome of an item that has its answer."""
        replayed = isinstance(self.claim, _KEPT)
        return Outcome(
            key=self.key,
            call=self.call,
            answer=answer,
            billed="no" if replayed or self.call.unit is None else "yes",
            replayed=replayed,
        )

    def failed(self, error: Exception) -> Outcome[K, T]:
        """The outcome of an item that has none."""
        return Outcome(
            key=self.key,
            call=self.call,
            error=error,
            billed=error.billed if isinstance(error, MemoriesError) else "no",
            replayed=isinstance(self.claim, _KEPT),
        )


def prepared(items: Sequence[Item[K, T]], desk: Desk | None, settings: Settings) -> list[Job[K, T]]:
    """Make jobs of the first of *items*: of all, if their media are quickly read."""
    until = time.monotonic() + SLICE
    jobs: list[Job[K, T]] = []
    for key, call in items:
        jobs.append(_job(key, call, desk, settings))
        if time.monotonic() > until:
            break
    if desk is not None:
        desk.database.read_now(partial(_answer_paid, jobs=jobs))
    return jobs


def _job(key: K, call: Call[T], desk: Desk | None, settings: Settings) -> Job[K, T]:
    if desk is None or not is_recorded(call):
        return Job(key, call)
    try:
        account, price = settings.account(call), settings.price(call.unit)
        return Job(key, call, ask_for(call, account, item=str(key), price=price))
    except (MemoriesError, OSError) as error:
        return Job(key, call, outcome=Job(key, call).failed(error))


def _answer_paid(connection: sqlite3.Connection, *, jobs: Sequence[Job[Any, Any]]) -> None:
    asked = [(job, bytes.fromhex(job.ask.key)) for job in jobs if job.ask is not None]
    paid = _tables.paid(connection, [key for _, key in asked])
    for job, key in asked:
        row = paid.get(key)
        if row is not None:
            job.outcome = _replayed(job, Reply(status=row[0] or 200, body=row[1]))


def _replayed(job: Job[K, T], reply: Reply) -> Outcome[K, T]:
    try:
        answer = job.call.read(reply)
    except MemoriesError as error:
        job.claim = Paid(reply)
        return job.failed(error)
    return Outcome(key=job.key, call=job.call, answer=answer, replayed=True)
