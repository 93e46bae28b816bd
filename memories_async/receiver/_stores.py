"""What a receiver needs of the place where it keeps submissions and callbacks, and one in memory."""

from __future__ import annotations

import threading
from typing import Any, Protocol, runtime_checkable

from attrs import define, evolve, field

from memories_async.receiver._callback_urls import draw_secret
from memories_async.receiver._records import (
    CallbackDelivery,
    CallbackRecord,
    RecordKey,
    Submission,
    Verdict,
)


@runtime_checkable
class CallbackStore(Protocol):
    """Keeps what must outlive the process: when a method returns, its change is durable.

    `CallbackRecord.add` decides what becomes of a callback; a store has to look the record up, call
    `add` and store what it returns in one step.
    """

    async def get_secret(self) -> bytes:
        """Return the secret with which all receivers on this store sign, drawn at first use."""
        ...

    async def add_submission(self, submission: Submission) -> None:
        """Store a submission, before it is sent."""
        ...

    async def set_task(self, submission_id: bytes, task_id: str) -> CallbackRecord:
        """Store which task the submit reply named."""
        ...

    async def add_delivery(
        self, submission_id: bytes, delivery: CallbackDelivery, *, accept_for: float
    ) -> tuple[Verdict, CallbackRecord | None]:
        """Add a callback to its record; no record: no such submission was ever stored."""
        ...

    async def find(self, key: RecordKey) -> CallbackRecord | None:
        """Look a submission up."""
        ...

    async def mark_reconciled(self, submission_id: bytes) -> None:
        """Store that the ledger knows that the submission was accepted."""
        ...

    async def list_unreconciled(self) -> tuple[CallbackRecord, ...]:
        """List the records of which the ledger must still be told."""
        ...

    async def read_news(self, since: Any) -> tuple[Any, tuple[CallbackRecord, ...]]:
        """Return a mark, and the records that got callbacks since an earlier mark (None: none).

        It is called many times a second while a task is waited for. A store that no other process
        can write to may always return nothing.
        """
        ...

    def close(self) -> None:
        """Release what was opened; may be called twice, and the store used again after it."""
        ...

    def __str__(self) -> str:
        """Name the place of the store, for error messages."""
        ...


@define(eq=False)
class MemoryStore:
    """A store in memory, for tests and trials: what it holds is lost with the process.

    The event loops and threads of one process may share it.
    """

    _secret: bytes = field(factory=draw_secret, init=False, repr=False)
    _records: dict[bytes, CallbackRecord] = field(
        factory=dict[bytes, CallbackRecord], init=False, repr=False
    )
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    async def get_secret(self) -> bytes:
        """Return the secret, drawn when the store was made."""
        return self._secret

    async def add_submission(self, submission: Submission) -> None:
        """Keep a submission."""
        with self._lock:
            self._records[submission.id] = CallbackRecord(submission=submission)

    async def set_task(self, submission_id: bytes, task_id: str) -> CallbackRecord:
        """Keep which task the submit reply named."""
        return self._change(submission_id, task_id=task_id)

    async def add_delivery(
        self, submission_id: bytes, delivery: CallbackDelivery, *, accept_for: float
    ) -> tuple[Verdict, CallbackRecord | None]:
        """Add a callback to its record."""
        with self._lock:
            record = self._records.get(submission_id)
            if record is None:
                return Verdict.REJECTED, None
            verdict, record = record.add(delivery, accept_for=accept_for)
            self._records[submission_id] = record
            return verdict, record

    async def find(self, key: RecordKey) -> CallbackRecord | None:
        """Look a submission up."""
        with self._lock:
            return next((one for one in self._records.values() if key in one.keys), None)

    async def mark_reconciled(self, submission_id: bytes) -> None:
        """Keep that the ledger was told."""
        self._change(submission_id, is_reconciled=True)

    async def list_unreconciled(self) -> tuple[CallbackRecord, ...]:
        """List the records of which the ledger must still be told."""
        with self._lock:
            return tuple(one for one in self._records.values() if one.needs_reconciling)

    async def read_news(self, since: Any) -> tuple[Any, tuple[CallbackRecord, ...]]:
        """Return nothing: no other process can write here."""
        return since, ()

    def close(self) -> None:
        """Do nothing: nothing was opened."""

    def __str__(self) -> str:
        return "the memory of this process"

    def _change(self, submission_id: bytes, **changes: Any) -> CallbackRecord:
        with self._lock:
            self._records[submission_id] = record = evolve(self._records[submission_id], **changes)
            return record
