"""What happens during a call, as values, for logs, metrics and traces.

`Client(observers=[...])` takes functions, which are called with these values. A call is told by one
`Began` and one `Ended`, with the same `call_id`: also where it was cancelled, or answered from a
ledger. Between them each attempt is told by `Waiting`, `Sending` and `Sent`, then by `Answered` or
`Failed`; neither of these two comes for an attempt that was cancelled.

No event holds a key, a prompt or a medium. Times are in seconds.
"""

from __future__ import annotations

import logging
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


Event: TypeAlias = Began | Waiting | Sending | Sent | Answered | Failed | Degraded | Ended


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


class CallLogger(logging.LoggerAdapter[logging.Logger]):
    """Gives each record the attribute `call_id`: the id of the call that it is about, or None."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Add the attribute."""
        call = current_call.get()
        kwargs["extra"] = {"call_id": None if call is None else call.call_id}
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
    match event:
        case Began():
            logger.debug("%s: began", event.call)
        case Waiting(reason="permit" | "identical"):
            logger.debug("%s: waiting: %s", event.call, event.reason)
        case Waiting():
            logger.info("%s: next attempt in %.1f s", event.call, event.seconds)
        case Sending():
            logger.debug("%s: sending, attempt %d", event.call, event.attempt)
        case Sent():
            logger.debug("%s: sent", event.call)
        case Answered():
            logger.debug("%s: answered after %.3f s", event.call, event.seconds)
        case Failed():
            logger.info("%s", event.error)
        case Degraded():
            logger.debug("%s: at a slow rate, since %s", event.call, event.reason)
        case Ended():
            is_smooth = event.outcome == "done" and event.attempts < 2  # noqa: PLR2004  # one attempt
            logger.log(
                logging.DEBUG if is_smooth else logging.INFO,
                "%s: %s after %.3f s (%.3f s of them in waits, attempts: %d, billed: %s%s)",
                event.call,
                event.outcome,
                event.seconds,
                event.waited,
                event.attempts,
                event.billed,
                ", from the ledger" if event.replayed else "",
            )


def tell(observers: Iterable[Observer], event: Event) -> None:
    """Tell every observer; one that raises is logged and harms nothing."""
    for observer in observers:
        try:
            observer(event)
        except Exception:  # it is logged
            logger.exception("an observer raised")
