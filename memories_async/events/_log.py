"""Who is told of events: the log, and the observers. The call that a task is part of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol

from memories_async.events._values import (
    Answered,
    BatchBegan,
    BatchEnded,
    Began,
    BucketPaused,
    BucketResumed,
    CallbackReceived,
    Degraded,
    Ended,
    Event,
    Failed,
    Observer,
    Sending,
    Sent,
    Waiting,
    WaitReason,
)


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


class CallFormatter(logging.Formatter):
    """Writes the ids of a record's call and trace at the end of its line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Write the line."""
        ids = [f"{name} {vars(record).get(f'{name}_id')}" for name in ("call", "trace")]
        known = ", ".join(one for one in ids if not one.endswith("None"))
        return super().formatMessage(record) + (f" [{known}]" if known else "")


def show_log(level: int) -> None:
    """Write the log from *level* on to the standard error stream, unless the program handles it."""
    logger.setLevel(level)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(CallFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.logger.addHandler(handler)


def log(event: Event) -> None:
    """Write *event* to the logger `memories_async`: what does not go smoothly at INFO."""
    if logger.isEnabledFor(logging.INFO):
        level, message = describe(event)
        logger.log(level, "%s", message)


def describe(event: Event) -> tuple[int, str]:  # noqa: C901, PLR0912  # a case for each event
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
        case BucketPaused():
            return level, f"{event.family}: paused for {event.seconds:.1f} s"
        case BucketResumed():
            return level, f"{event.family}: resumed after {event.seconds:.1f} s"
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
