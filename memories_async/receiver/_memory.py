"""A store in memory: for tests and trials. What it holds is lost with the process."""

from __future__ import annotations

import threading
from typing import Any

from attrs import define, evolve, field

from memories_async.receiver._records import Arrival, Record, Ticket, Verdict, Wanted, wanted_names
from memories_async.receiver._tokens import new_secret


@define(eq=False)
class MemoryStore:
    """Keeps records in a dictionary; loops and threads of one process may share it."""

    _secret: bytes = field(factory=new_secret, init=False, repr=False)
    _records: dict[bytes, Record] = field(factory=dict[bytes, Record], init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    async def secret(self) -> bytes:
        """Return the secret."""
        return self._secret

    async def issue(self, ticket: Ticket) -> None:
        """Remember a submission."""
        self._records[ticket.id] = Record(ticket=ticket)

    async def bind(self, id_: bytes, task_id: str) -> Record:
        """Note which task the submit reply named."""
        return self._change(id_, task_id=task_id)

    async def deliver(
        self, id_: bytes, arrival: Arrival, *, accept_for: float
    ) -> tuple[Verdict, Record | None]:
        """Judge a delivery, and keep it if it is to be kept."""
        with self._lock:
            record = self._records.get(id_)
            if record is None:
                return Verdict.STRANGE, None
            verdict = record.judge(arrival, accept_for=accept_for)
            if record.keeps(verdict):
                record = record.with_arrival(arrival)
                self._records[id_] = record
            return verdict, record

    async def find(self, wanted: Wanted) -> Record | None:
        """Look a submission up."""
        with self._lock:
            records = (one for one in self._records.values() if wanted in wanted_names(one))
            return next(records, None)

    async def told(self, id_: bytes) -> None:
        """Note that the ledger was told."""
        self._change(id_, told=True)

    async def untold(self) -> tuple[Record, ...]:
        """List what the ledger was not told."""
        with self._lock:
            return tuple(one for one in self._records.values() if one.is_owed)

    async def news(self, since: Any) -> tuple[Any, tuple[Record, ...]]:
        """Return nothing: nobody else can write here."""
        return since, ()

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def __str__(self) -> str:
        return "the memory of this process"

    def _change(self, id_: bytes, **changes: Any) -> Record:
        with self._lock:
            self._records[id_] = record = evolve(self._records[id_], **changes)
            return record
