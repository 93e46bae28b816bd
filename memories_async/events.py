"""What happens during a call, as values, for logs, metrics and traces.

`Client(observers=[...])` takes functions, which are called with these values. A call is told by one
`Began` and one `Ended`, with the same `call_id`: also where it was cancelled, or answered from a
ledger. Between them each attempt is told by `Waiting`, `Sending` and `Sent`, then by `Answered` or
`Failed`; neither of these two comes for an attempt that was cancelled.

No event holds a key, a prompt or a medium. Times are in seconds.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal, Protocol, TypeAlias

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


@frozen(kw_only=True)
class CallEvent:
    """Base of the events of a call."""

    call_id: str
    """The same for all events of one call, and different for each call of every process."""
    call: str
    """The call's name, such as `clips.search`."""


@frozen(kw_only=True)
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
    item: str | None
    """The key of the item of a batch, as text."""
    batch_id: str | None
    """The batch that sends the call."""


@frozen(kw_only=True)
class Waiting(CallEvent):
    """The call waits before it goes on."""

    attempt: int
    """How many attempts were begun so far."""
    bucket: str
    """The endpoint family whose bucket the call waits in, such as `search`."""
    reason: WaitReason
    seconds: float | None
    """How long, where that is known: the limiter hands out permits without saying when."""


@frozen(kw_only=True)
class Sending(CallEvent):
    """A request is about to leave; it had its permit."""

    attempt: int
    waited: float
    """Seconds that the attempt waited for its permit."""
    method: str
    url: str
    """The address, without the query."""


@frozen(kw_only=True)
class Sent(CallEvent):
    """The first bytes of the request leave: from here on it may be billed."""

    attempt: int


@frozen(kw_only=True)
class Answered(CallEvent):
    """An attempt ended with an answer."""

    attempt: int
    status: int
    seconds: float
    """From the permit to the end of the reply: the exchange by HTTP alone."""
    size: int
    """Bytes of the reply's body."""


@frozen(kw_only=True)
class Failed(CallEvent):
    """An attempt, or the wait for its permit, ended without an answer."""

    attempt: int
    error: MemoriesError
    seconds: float
    """From the permit to the failure; 0 where there was no permit."""


@frozen(kw_only=True)
class Degraded(CallEvent):
    """The store of the shared limiter cannot be used: the permit came from a slow rate of this process."""

    attempt: int
    reason: str


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class BatchBegan:
    """A batch was entered. Its items are calls that carry its `batch_id`."""

    batch_id: str
    total: int | None
    """How many items there are; None where the iterable has no length."""


@frozen(kw_only=True)
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
    seconds: float
    error: BaseException | None
    """What stopped it early."""


@frozen(kw_only=True)
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
Event: TypeAlias = CallEvents | BatchBegan | BatchEnded | CallbackReceived


class Observer(Protocol):
    """Told of every event as it happens, on the event loop: be quick, and never raise."""

    def __call__(self, event: Event, /) -> None: ...


class CurrentCall(Protocol):
    """The call that the running task is part of."""

    @property
    def call_id(self) -> str:
        """The id that its events carry."""
        ...

    def tell_waiting(self, reason: WaitReason) -> None:
        """Tell the observers that the call waits."""
        ...


current_call: ContextVar[CurrentCall | None] = ContextVar("memories_async_call", default=None)


def tell_waiting(reason: WaitReason) -> None:
    """Tell the observers of the running task's call, if there is one, that it waits."""
    call = current_call.get()
    if call is not None:
        call.tell_waiting(reason)


def find_trace() -> str | None:
    """Return the current span of OpenTelemetry as a `traceparent`; None where the program uses none."""
    opentelemetry: Any = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return None
    span = opentelemetry.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


class CallLogger(logging.LoggerAdapter[logging.Logger]):
    """Gives each record `call_id`, of the call that it is about, and `trace_id`; or None."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Add the attributes."""
        call, trace = current_call.get(), find_trace()
        kwargs["extra"] = {
            "call_id": None if call is None else call.call_id,
            "trace_id": None if trace is None else trace.split("-")[1],
        }
        return msg, kwargs


logger: CallLogger = CallLogger(logging.getLogger("memories_async"))


def show_log(level: int) -> None:
    """Write the log from *level* on to the standard error stream, unless the program handles it."""
    logger.setLevel(level)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.logger.addHandler(handler)


def log(event: Event) -> None:
    """Write *event* to the logger `memories_async`: what does not go smoothly at INFO."""
    if logger.isEnabledFor(logging.INFO):
        level, message = describe(event)
        logger.log(level, "%s", message)


def describe(event: Event) -> tuple[int, str]:  # noqa: C901  # one case for each kind of event
    """Write *event* as a line for the log, and say at which level."""
    level = logging.DEBUG
    match event:
        case Began():
            text = "began"
        case Waiting(seconds=None):
            text = f"waiting: {event.reason}"
        case Waiting():
            level, text = logging.INFO, f"next attempt in {event.seconds:.1f} s"
        case Sending():
            text = f"sending, attempt {event.attempt}"
        case Sent():
            text = "sent"
        case Answered():
            text = f"answered after {event.seconds:.3f} s"
        case Failed():
            return logging.INFO, str(event.error)
        case Degraded():
            text = f"at a slow rate, since {event.reason}"
        case Ended():
            is_smooth = event.outcome == "done" and event.attempts < 2  # noqa: PLR2004  # one attempt
            level = logging.DEBUG if is_smooth else logging.INFO
            kept = ", from the ledger" if event.replayed else ""
            text = (
                f"{event.outcome} after {event.seconds:.3f} s ({event.waited:.3f} s of them in waits,"
                f" attempts: {event.attempts}, billed: {event.billed}{kept})"
            )
        case CallbackReceived():
            text = f"callback: {event.kind}"
        case BatchBegan():
            return level, f"batch {event.batch_id}: began"
        case BatchEnded():
            return level, f"batch {event.batch_id}: ended after {event.seconds:.3f} s"
    return level, f"{event.call}: {text}"


def tell(observers: Iterable[Observer], event: Event) -> None:
    """Tell every observer; one that raises is logged and harms nothing."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # it is logged
            logger.exception("an observer raised")
