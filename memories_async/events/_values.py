"""The events, as values."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from memories_async.errors import Billed, MemoriesError

CallOutcome = Literal["done", "refused", "unsent", "unknown", "cancelled"]
"""How a call ended: answered; refused by the service; failed before anything was sent; sent without
a usable answer; cancelled by the program."""
WaitReason = Literal["permit", "rate", "retry", "identical"]
"""What a call waits for: a permit of the limiter; the end of a pause after a refusal for its rate;
the next attempt after another failure; an identical call in flight, whose answer it shares."""
CallbackKind = Literal[
    "result",
    "early",
    "progress",
    "unclear",
    "duplicate",
    "conflicting",
    "expired",
    "forged",
    "unstored",
]
"""What a callback was: a result; a result that came before the reply to its submission; news of an
upload that is not ready; a body that says nothing clearly; a repetition; a second, different result;
one with a token that has expired or is of another task; one without a token of this receiver; one
that could not be stored."""


@frozen(kw_only=True, slots=False)
class CallEvent:
    """Base of the events of a call."""

    call_id: str
    """The same for all events of one call, and different for each call of every process."""
    call: str
    """The call's name, such as `clips.search`."""


@frozen(kw_only=True, slots=False)
class Began(CallEvent):
    """A call begins. It is told once, before everything else of the call."""

    base_url: str
    """The service's host, such as `https://api.memories.ai`."""
    family: str
    """The endpoint family, whose limit the call counts against: a field of `Limits`."""
    unit: str | None
    """What a success is billed as, such as `search`; None if it is free."""
    price: float | None
    """Points that a success costs; None where no budget knows it."""
    model: str | None
    """The model that the call names."""
    account: str
    """The account's name; without one, a hash of the key and the host."""
    tag: str | None = None
    """The caller's own id of the call; see `captions.upload`."""
    item: str | None
    """The key of the item of a batch, as text."""
    batch_id: str | None
    """The batch that sends the call."""


@frozen(kw_only=True, slots=False)
class Waiting(CallEvent):
    """The call waits before it goes on."""

    attempt: int
    """How many attempts were begun so far."""
    bucket: str
    """The endpoint family whose bucket the call waits in, such as `search`."""
    reason: WaitReason
    seconds: float | None
    """How long, where that is known: the limiter hands out permits without saying when."""


@frozen(kw_only=True, slots=False)
class Sending(CallEvent):
    """A request is about to leave; it had its permit."""

    attempt: int
    waited: float
    """Seconds that the attempt waited for its permit."""
    method: str
    url: str
    """The address, without the query."""


@frozen(kw_only=True, slots=False)
class Sent(CallEvent):
    """The first bytes of the request leave: from here on it may be billed."""

    attempt: int


@frozen(kw_only=True, slots=False)
class Answered(CallEvent):
    """An attempt ended with an answer."""

    attempt: int
    status: int
    seconds: float
    """From the permit to the end of the reply: the exchange by HTTP alone."""
    size: int
    """Bytes of the reply's body."""


@frozen(kw_only=True, slots=False)
class Failed(CallEvent):
    """An attempt, or the wait for its permit, ended without an answer."""

    attempt: int
    error: MemoriesError
    seconds: float
    """From the permit to the failure; 0 where there was no permit."""


@frozen(kw_only=True, slots=False)
class Degraded(CallEvent):
    """The store of the shared limiter cannot be used: the permit came from a slow rate of this process."""

    attempt: int
    reason: str


@frozen(kw_only=True, slots=False)
class Ended(CallEvent):
    """A call ended. It is told once, after everything else of the call."""

    outcome: CallOutcome
    billed: Billed
    """Whether the call was charged; `maybe` also where an earlier run may have paid for it."""
    attempts: int
    replayed: bool
    """Whether the outcome comes from a ledger, and this call sent nothing."""
    seconds: float
    """From `Began` on."""
    waited: float
    """Seconds of them spent in waits, of whichever reason."""
    error: BaseException | None
    """What the caller is given in place of an answer."""


@frozen(kw_only=True, slots=False)
class BucketPaused:
    """The service refused a request for its rate: no call of the bucket is sent for a while."""

    account: str
    family: str
    """The endpoint family, such as `search`."""
    seconds: float


@frozen(kw_only=True, slots=False)
class BucketResumed:
    """The first call after a pause has its permit. The rate is lower than before, and grows back."""

    account: str
    family: str
    seconds: float
    """How long the bucket was paused."""


@frozen(kw_only=True, slots=False)
class BatchBegan:
    """A batch was entered. Its items are calls that carry its `batch_id`."""

    batch_id: str
    total: int | None
    """How many items there are; None where the iterable has no length."""


@frozen(kw_only=True, slots=False)
class BatchEnded:
    """A batch ended, after its items. What was never begun is in no count."""

    batch_id: str
    done: int
    """Items answered by the service."""
    replayed: int
    """Items answered from the ledger."""
    refused: int
    unknown: int
    """Items that were sent, now or earlier, without an answer."""
    unsent: int
    cancelled: int
    seconds: float
    error: BaseException | None
    """What stopped it early; a `CancelledError` where it was left before its requests had ended."""


@frozen(kw_only=True, slots=False)
class CallbackReceived:
    """A receiver answered a callback, which is stored by then if it is of use."""

    kind: CallbackKind
    call: str | None
    """The call whose callback it is, such as `captions.upload`; None where that cannot be told."""
    task_id: str | None
    status: int
    """The HTTP status of the answer."""
    seconds: float | None
    """From the submission to the callback."""
    trace: str | None
    """The span in which the call was submitted, in the form of the header `traceparent`."""


CallEvents: TypeAlias = Began | Waiting | Sending | Sent | Answered | Failed | Degraded | Ended
BucketEvents: TypeAlias = BucketPaused | BucketResumed
Event: TypeAlias = CallEvents | BucketEvents | BatchBegan | BatchEnded | CallbackReceived


class Observer(Protocol):
    """Told of every event as it happens, on the event loop: be quick, and never raise."""

    def __call__(self, event: Event, /) -> None: ...
