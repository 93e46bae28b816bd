"""What a receiver needs of the place where it keeps submissions and deliveries. Protocols only."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from memories_async.captions import CaptionTask
from memories_async.receiver._records import Arrival, Record, Ticket, Verdict, Wanted
from memories_async.videos import Video


@runtime_checkable
class Store(Protocol):
    """Keeps what must outlive the process. Whatever returns is durable.

    `judge` and `keeps` of a record decide; a store only has to do *look, judge, add* as one step.
    """

    async def secret(self) -> bytes:
        """Return the secret that all receivers on this store sign with, drawn at first use."""
        ...

    async def issue(self, ticket: Ticket) -> None:
        """Write a submission down, before it is sent."""
        ...

    async def bind(self, id_: bytes, task_id: str) -> Record:
        """Note which task the submit reply named."""
        ...

    async def deliver(
        self, id_: bytes, arrival: Arrival, *, accept_for: float
    ) -> tuple[Verdict, Record | None]:
        """Judge a delivery and keep it if it is to be kept, at once. No record: no such ticket."""
        ...

    async def find(self, wanted: Wanted) -> Record | None:
        """Look a submission up."""
        ...

    async def told(self, id_: bytes) -> None:
        """Note that the ledger knows that the submission was accepted."""
        ...

    async def untold(self) -> tuple[Record, ...]:
        """List the submissions with a ledger entry and an outcome that the ledger was not told."""
        ...

    async def news(self, since: Any) -> tuple[Any, tuple[Record, ...]]:
        """Return a mark, and the records with deliveries since an earlier mark (None: none).

        It is asked many times a second while somebody waits; where no other process can write, it
        may always return nothing.
        """
        ...

    def close(self) -> None:
        """Let go of what was opened; may be called twice, and used again after."""
        ...

    def __str__(self) -> str:
        """Say where the store is, for the error of who waited in vain."""
        ...


@runtime_checkable
class Settler(Protocol):
    """A ledger: a callback proves to it that a submission was accepted."""

    async def settled(self, key: str, *, answer: CaptionTask | Video) -> None:
        """Turn the entry *key* into done, answered with *answer*; harmless if it is already."""
        ...
