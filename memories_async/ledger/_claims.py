"""What the ledger says to somebody who wants a call sent: yours, paid, in doubt, or elsewhere."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TypeAlias

from attrs import frozen

from memories_async._protocol.reply import Reply
from memories_async.errors import OutcomeUnknown
from memories_async.ledger._claimed import Line
from memories_async.ledger._single_flight import Flight, landing
from memories_async.ledger._tables import Ask, Found

POLL = 0.2
"""Seconds between two looks at an entry that another process is delivering."""


@frozen
class Paid:
    """It was answered; *reply* is what came."""

    reply: Reply


@frozen
class Doubt:
    """It was sent, and nobody knows what became of it; or it was paid and its answer is lost."""

    entry: int
    error: OutcomeUnknown
    reply: Reply | None
    """What came instead of a readable answer, if anything."""


@frozen
class Elsewhere:
    """Somebody else is delivering it: another task of this process, or another process."""

    flight: Flight | None

    async def over(self) -> None:
        """Wait until it is worth asking the ledger again; raise what ended a flight of ours."""
        if self.flight is None:
            await asyncio.sleep(POLL)
        else:
            await landing(self.flight)


Claim: TypeAlias = Line | Paid | Doubt | Elsewhere


def verdict(ask: Ask, found: Found) -> Paid | Doubt | Elsewhere:
    """Say why an entry cannot be claimed."""
    if found.owner is not None:
        return Elsewhere(None)
    body = found.body
    reply = None if body is None else Reply(status=found.status or 200, body=body)
    if found.state == "done" and reply is not None:
        return Paid(reply)
    error = OutcomeUnknown(
        _advice(ask, found),
        call=ask.call,
        status=found.status,
        attempts=found.attempts,
        billed="yes" if found.state == "done" else "maybe",
        body=body,
    )
    return Doubt(found.id, error, reply)


def _advice(ask: Ask, found: Found) -> str:
    if found.state == "done":
        return "the ledger says it was paid, without an answer; fresh=True buys one"
    when = datetime.fromtimestamp(found.sent_at or 0.0, UTC).isoformat(" ", "seconds")
    return (
        f"sent before, last at {when}, and not answered: {found.message}. It is not sent again by "
        f"itself; tell the ledger: settle({ask.key!r}, paid=...), or retry(...) to risk paying twice"
    )
