"""What is kept of a submission and its callbacks, and what follows from it. Pure.

Deliveries are only ever added; which of them counts is worked out from all of them. That is what
makes every order of submit reply, callback, repetition and restart come to the same result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum

from attrs import evolve, field, frozen

from memories_async._protocol import wire_json

MOST = 8
"""Different deliveries that are kept for one submission, so that none can fill the disk."""


class Verdict(Enum):
    """What a delivery is to its submission."""

    STORED = "stored"
    REPEATED = "repeated"
    """Known already: nothing changes."""
    CONFLICTING = "conflicting"
    """Different from the one that counts: kept, and nothing changes."""
    STRANGE = "strange"
    """For a token that was never issued, has expired, or belongs to another task."""
    TOO_MANY = "too many"
    """Nothing that counts has come yet and no more is kept: it is welcome again later."""


@frozen(kw_only=True)
class Ticket:
    """A submission that was given a callback, written down before it is sent."""

    id: bytes
    call: str
    """The call's name, such as `captions.upload`."""
    key: str | None = None
    """Its entry in the ledger."""
    issued_at: float
    """Unix time."""


@frozen(kw_only=True)
class Arrival:
    """A delivery as it came, and the little that was read of it."""

    task_id: str | None
    """None where the body names none; the token alone then says whose it is."""
    final: bool
    """Whether it says clearly how the task ended."""
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
    at: float
    """Unix time."""

    def repeats(self, other: Arrival) -> bool:
        """Tell whether both say the same, however it is written."""
        if self.body == other.body:
            return True
        try:
            return _meaning(self.body) == _meaning(other.body)
        except (ValueError, RecursionError):  # too deep to be written in another way
            return False


def _meaning(body: bytes) -> bytes:
    return wire_json.canonical(json.loads(body))


@frozen(kw_only=True)
class Record:
    """A submission with all that is known of it."""

    ticket: Ticket
    task_id: str | None = None
    """The task that the submit reply named; None while, or if, no reply came."""
    arrivals: tuple[Arrival, ...] = ()
    """In the order in which they were stored."""
    told: bool = False
    """Whether the ledger knows that the submission was accepted."""

    @property
    def outcome(self) -> Arrival | None:
        """The delivery that counts: the first clear one for this task, else the first at all."""
        ours = [one for one in self.arrivals if self._is_ours(one.task_id)]
        return next((one for one in ours if one.final), ours[0] if ours else None)

    @property
    def is_decided(self) -> bool:
        """Whether a delivery said clearly how it ended."""
        return self.outcome is not None and self.outcome.final

    @property
    def known_task(self) -> str | None:
        """The task, from the submit reply or, where that was lost, from the callback."""
        outcome = self.outcome
        return self.task_id or (outcome.task_id if outcome is not None else None)

    @property
    def is_owed(self) -> bool:
        """Whether the ledger is still to be told that the submission was accepted."""
        return bool(self.ticket.key and self.known_task and self.outcome and not self.told)

    def judge(self, arrival: Arrival, *, accept_for: float) -> Verdict:
        """Say what *arrival* is to this submission, and so whether it is to be kept."""
        if arrival.at - self.ticket.issued_at > accept_for or not self._is_ours(arrival.task_id):
            return Verdict.STRANGE
        if any(arrival.repeats(known) for known in self.arrivals):
            return Verdict.REPEATED
        if len(self.arrivals) >= MOST:
            return Verdict.CONFLICTING if self.is_decided else Verdict.TOO_MANY
        return Verdict.CONFLICTING if self.is_decided else Verdict.STORED

    def with_arrival(self, arrival: Arrival) -> Record:
        """Add a delivery."""
        return evolve(self, arrivals=(*self.arrivals, arrival))

    def keeps(self, verdict: Verdict) -> bool:
        """Whether a delivery judged so is to be stored."""
        fits = len(self.arrivals) < MOST
        return fits and verdict in {Verdict.STORED, Verdict.CONFLICTING}

    def _is_ours(self, task_id: str | None) -> bool:
        # Until the reply has named the task, the token alone decides: it is all there is.
        return None in (self.task_id, task_id) or task_id == self.task_id


Wanted = str | bytes
"""A task's id (text), or a submission's (bytes) where the task's was lost."""


def wanted_names(record: Record) -> Iterable[Wanted]:
    """List what somebody who waits for *record* may know it by."""
    yield record.ticket.id
    if record.known_task is not None:
        yield record.known_task
