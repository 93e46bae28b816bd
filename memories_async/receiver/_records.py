"""What is stored of a submission and its callbacks, and which callback counts. Pure.

Callbacks are only added, never changed; the one that counts is computed from all of them. So every
order of submit reply, callback, repetition and restart leads to the same result.
"""

from __future__ import annotations

from enum import Enum

from attrs import evolve, field, frozen

from memories_async._protocol import wire_json
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import OutcomeUnknown
from memories_async.events import CallbackKind
from memories_async.receiver import _payload

MAX_DELIVERIES = 8
"""Different callbacks that are stored for one submission, so that a sender cannot fill the disk."""

RecordKey = str | bytes
"""What a record is looked up by: a task's id (text), or a submission's (bytes)."""


def find_key(task: CaptionTask | OutcomeUnknown | str) -> RecordKey:
    """Return what the record of *task* is looked up by."""
    if isinstance(task, CaptionTask):
        return task.task_id
    if isinstance(task, str):
        return CaptionTask.parse(task).task_id
    if task.callback is None:
        raise ValueError("this call had no callback from a receiver: there is nothing to wait for")
    return bytes.fromhex(task.callback)


class Verdict(Enum):
    """What a callback is to its submission."""

    STORED = "stored"
    REPEATED = "repeated"
    """Equal to one that is stored: nothing changes."""
    CONFLICTING = "conflicting"
    """Different from the one that counts: it is stored, and nothing else changes."""
    REJECTED = "rejected"
    """Its token has expired, or it names another task."""
    TOO_MANY = "too many"
    """The submission has no clear callback yet and no room for another: the sender may try later."""


@frozen(kw_only=True)
class Submission:
    """A call that was given a callback URL, stored before the call is sent."""

    id: bytes
    call: str
    """The call's name, such as `captions.upload`."""
    key: str | None = None
    """The key of its entry in the ledger."""
    issued_at: float
    """Unix time in seconds."""
    trace: str | None = None
    """The span of OpenTelemetry in which it was submitted, as a `traceparent`."""
    tag: str | None = None
    """The caller's own id of the call; see `captions.upload`."""


@frozen(kw_only=True)
class CallbackDelivery:
    """A callback as it was received, and the fields by which it is judged."""

    task_id: str | None
    """None where the body names none: the token alone then tells the task."""
    final: bool
    """Whether the body says clearly how the task ended."""
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
    at: float
    """Unix time in seconds."""
    content_type: str = ""
    """As the sender declared it; it may name the charset of the body."""

    @classmethod
    def read(cls, body: bytes, *, content_type: str, at: float) -> CallbackDelivery:
        """Read a body; one that cannot be read names no task and is not final."""
        document = _payload.parse(body, content_type)
        task_id, final = (None, False) if document is None else _payload.summarize(document)
        return cls(task_id=task_id, final=final, body=body, at=at, content_type=content_type)

    def read_caption(self, *, call: str) -> Caption:
        """Return the caption; raise `CaptionFailed` for a failure and `BadReply` if it is unclear."""
        return _payload.read_caption(self.body, self.content_type, call=call)

    def repeats(self, other: CallbackDelivery) -> bool:
        """Tell whether both bodies are equal as JSON: spaces and the order of fields do not count."""
        if self.body == other.body:
            return True
        mine = _payload.parse(self.body, self.content_type)
        theirs = _payload.parse(other.body, other.content_type)
        try:
            return mine is not None and wire_json.canonical(mine) == wire_json.canonical(theirs)
        except RecursionError:  # nested too deeply to be written again
            return False


@frozen(kw_only=True)
class CallbackRecord:
    """A submission and everything that is known of it."""

    submission: Submission
    task_id: str | None = None
    """The task that the submit reply named; None until, or unless, there is a reply."""
    deliveries: tuple[CallbackDelivery, ...] = ()
    """In the order in which they were stored."""
    final_repetitions: int = 0
    """How many callbacks said clearly how the task ended, but were not stored as deliveries."""
    is_reconciled: bool = False
    """Whether the ledger has been told that the submission was accepted."""

    @property
    def outcome(self) -> CallbackDelivery | None:
        """The callback that counts: the first clear one for this task, else the first at all."""
        matching = [one for one in self.deliveries if self._is_same_task(one.task_id)]
        return next((one for one in matching if one.final), matching[0] if matching else None)

    @property
    def is_decided(self) -> bool:
        """Whether a callback has said clearly how the task ended."""
        return self.outcome is not None and self.outcome.final

    @property
    def final_callbacks(self) -> int:
        """How many callbacks said clearly how the task ended, repetitions included."""
        return sum(one.final for one in self.deliveries) + self.final_repetitions

    @property
    def known_task_id(self) -> str | None:
        """The task's id, from the submit reply or, where that was lost, from the callback."""
        outcome = self.outcome
        return self.task_id or (outcome.task_id if outcome is not None else None)

    @property
    def keys(self) -> tuple[RecordKey, ...]:
        """Everything that the record can be looked up by."""
        known = self.known_task_id
        return (self.submission.id,) if known is None else (self.submission.id, known)

    @property
    def needs_reconciling(self) -> bool:
        """Whether the ledger must still be told that the submission was accepted."""
        proved = self.known_task_id and self.outcome
        return bool(self.submission.key and proved and not self.is_reconciled)

    def add(
        self, delivery: CallbackDelivery, *, accept_for: float
    ) -> tuple[Verdict, CallbackRecord]:
        """Judge *delivery*, and return the record with it if it is to be stored.

        The token of a submission is good for *accept_for* seconds.
        """
        verdict = self._judge(delivery, accept_for)
        if verdict in {Verdict.REJECTED, Verdict.TOO_MANY}:
            return verdict, self
        if verdict is not Verdict.REPEATED and len(self.deliveries) < MAX_DELIVERIES:
            return verdict, evolve(self, deliveries=(*self.deliveries, delivery))
        return verdict, evolve(self, final_repetitions=self.final_repetitions + delivery.final)

    def _judge(self, delivery: CallbackDelivery, accept_for: float) -> Verdict:
        is_late = delivery.at - self.submission.issued_at > accept_for
        if is_late or not self._is_same_task(delivery.task_id):
            return Verdict.REJECTED
        if any(delivery.repeats(known) for known in self.deliveries):
            return Verdict.REPEATED
        if self.is_decided:
            return Verdict.CONFLICTING
        return Verdict.STORED if len(self.deliveries) < MAX_DELIVERIES else Verdict.TOO_MANY

    def _is_same_task(self, task_id: str | None) -> bool:
        # Until the submit reply has named the task, the token alone decides.
        return None in (self.task_id, task_id) or task_id == self.task_id


_KINDS: dict[Verdict, CallbackKind] = {
    Verdict.REPEATED: "duplicate",
    Verdict.CONFLICTING: "conflicting",
    Verdict.REJECTED: "expired",
    Verdict.TOO_MANY: "unstored",
}


def classify(verdict: Verdict, record: CallbackRecord, delivery: CallbackDelivery) -> CallbackKind:
    """Say what *delivery* was, for logs and events."""
    if verdict is not Verdict.STORED:
        return _KINDS[verdict]
    if delivery.final:
        return "early" if record.task_id is None else "result"
    # An upload's callback may say that it is not ready yet.
    is_caption = record.submission.call.startswith("captions.")
    return "unclear" if is_caption or delivery.task_id is None else "progress"
