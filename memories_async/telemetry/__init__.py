"""Spans and metrics of calls, by OpenTelemetry. Needs the extra `otel`.

The names follow OpenTelemetry's semantic conventions 1.41.0: the stable ones for HTTP, and those for
generative AI (status "Development"), of which it is the last release in the common repository.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Self

from memories_async import events
from memories_async._version import __version__

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as _missing:
    raise ImportError(
        "memories_async.telemetry needs opentelemetry-api: pip install 'memories_async[otel]'"
    ) from _missing

from memories_async.telemetry._metrics import (
    PROVIDER,
    Metrics,
    OpenCall,
    describe_server,
    drop_none,
    find_operation,
    label_call,
)

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
"""The semantic conventions that the names follow."""
_PROPAGATOR = TraceContextTextMapPropagator()
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Telemetry:
    """An observer that makes OpenTelemetry spans and metrics: `Client(observers=[Telemetry()])`.

    Each call is one span over all its attempts and waits, each request a span below it, a batch a span
    above its items, and a callback a span that is linked to its submission's. The call's span is the
    current one while the call runs. Give the same object to the client and to its receiver.

    No attribute holds a key, a prompt, a caption or an answer. The key of a batch's item, and the tag of
    a caption, is written as it is if it is an identifier, and otherwise, since it may be a file's name,
    as its hash; *show_items* writes all as they are. *show_errors* adds the messages of errors, in which the service
    may repeat what it was sent.

    It pickles with a client. In the process that unpickles it, calls outside of any span there belong
    to the span that was current when it was pickled.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        show_items: bool = False,
        show_errors: bool = False,
    ) -> None:
        """Take the global providers unless others are given; they may be set later."""
        self._is_global = tracer_provider is None and meter_provider is None
        self._show_items, self._show_errors = show_items, show_errors
        self._tracer = trace.get_tracer(
            "memories_async", __version__, tracer_provider, schema_url=SCHEMA_URL
        )
        self._metrics = Metrics(
            metrics.get_meter("memories_async", __version__, meter_provider, SCHEMA_URL)
        )
        self._calls: dict[str, OpenCall] = {}
        self._batches: dict[str, Context] = {}
        self._origin = Context()
        """Where a pickled client came from."""

    def __call__(self, event: events.Event, /) -> None:
        """Follow *event*."""
        match event:
            case events.Began():
                self._begin(event)
            case events.BucketPaused():
                self._metrics.pauses.add(1, {"memories.bucket": event.family})
            case events.BucketResumed():
                pass
            case events.BatchBegan():
                self._begin_batch(event)
            case events.BatchEnded():
                self._end_batch(event)
            case events.CallbackReceived():
                self._add_callback(event)
            case _ if (call := self._calls.get(event.call_id)) is not None:
                self._follow(call, event)
            case _:  # of a call that began before this observer was there
                pass

    def _begin(self, event: events.Began) -> None:
        outer = self._batches.get(event.batch_id or "") or self._find_parent()
        operation = find_operation(event.call)
        attributes = drop_none(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": PROVIDER if operation else None,
                "gen_ai.request.model": event.model,
                **describe_server(event.base_url),
                "memories.call": event.call,
                "memories.call_id": event.call_id,
                "memories.account": event.account,
                "memories.batch_id": event.batch_id,
                "memories.item": self._name_item(event.item),
                "memories.tag": self._name_item(event.tag),
            }
        )
        label = label_call(event.call)
        name = label if operation is None else f"{operation} {event.model or label}"
        span = self._tracer.start_span(
            name, outer, kind=trace.SpanKind.CLIENT, attributes=attributes
        )
        inner = trace.set_span_in_context(span, outer)
        call = self._calls[event.call_id] = OpenCall(event, label, span, inner, outer)
        call.enter()

    def _find_parent(self) -> Context:
        current = context.get_current()
        has_span = trace.get_current_span(current).get_span_context().is_valid
        return current if has_span or not self._origin else self._origin

    def _name_item(self, item: str | None) -> str | None:
        if item is None or self._show_items or _IDENTIFIER.fullmatch(item):
            return item
        return "blake2b:" + blake2b(item.encode(), digest_size=8).hexdigest()

    def _follow(self, call: OpenCall, event: events.CallEvent) -> None:
        self._metrics.count_queue(call, event)
        match event:
            case events.Waiting(reason="permit"):
                call.enter()
            case events.Waiting():
                seconds = {} if event.seconds is None else {"memories.wait.seconds": event.seconds}
                call.span.add_event("wait", {"memories.wait.reason": event.reason, **seconds})
            case events.Degraded():
                reason = {"memories.reason": event.reason} if self._show_errors else {}
                call.span.add_event("limiter degraded", reason)
            case events.Sending():
                self._start_attempt(call, event)
            case events.Sent() if call.attempt is not None:
                call.attempt.add_event("sent")
            case events.Answered():
                billed = "no" if call.began.unit is None else "yes"
                self._end_attempt(call, billed, event.seconds, status=event.status)
            case events.Failed():
                self._fail_attempt(call, event)
            case events.Ended():
                self._end(call, event)
            case _:
                pass

    def _start_attempt(self, call: OpenCall, event: events.Sending) -> None:
        call.enter()
        if event.waited >= 0.001:  # noqa: PLR2004  # what is shorter is no wait
            call.span.add_event("permit", {"memories.wait.seconds": event.waited})
        self._metrics.waits.record(event.waited, {"memories.bucket": call.began.family})
        call.http = {"http.request.method": event.method, **describe_server(event.url)}
        resent = {"http.request.resend_count": event.attempt - 1} if event.attempt > 1 else {}
        call.attempt = self._tracer.start_span(
            event.method,
            call.inner,
            kind=trace.SpanKind.CLIENT,
            attributes={**call.http, "url.full": event.url, **resent},
        )

    def _fail_attempt(self, call: OpenCall, event: events.Failed) -> None:
        error = event.error
        if call.attempt is None:
            call.span.add_event("failed", {"error.type": type(error).__name__})
            return
        if error.code is not None:
            call.attempt.set_attribute("memories.code", error.code)
        is_status = error.status is not None and error.status >= 400  # noqa: PLR2004  # an HTTP error
        call.http["error.type"] = str(error.status) if is_status else type(error).__name__
        self._set_error(call.attempt, error, call.http["error.type"])
        self._end_attempt(call, error.billed, event.seconds, status=error.status)

    def _end_attempt(
        self, call: OpenCall, billed: str, seconds: float | None, status: int | None = None
    ) -> None:
        if call.attempt is None:
            return
        if status is not None:
            call.http["http.response.status_code"] = status
            call.attempt.set_attribute("http.response.status_code", status)
        call.attempt.set_attribute("memories.billed", billed)
        call.attempt.end()
        call.attempt = None
        self._metrics.requests.add(1, {"memories.call": call.label, "memories.billed": billed})
        if seconds is not None:
            self._metrics.http_durations.record(seconds, call.http)

    def _set_error(self, span: trace.Span, error: BaseException, kind: str) -> None:
        message = f"{kind}: {error}" if self._show_errors else kind
        span.set_attribute("error.type", kind)
        span.set_status(trace.Status(trace.StatusCode.ERROR, message))

    def _end(self, call: OpenCall, event: events.Ended) -> None:
        del self._calls[event.call_id]
        error, span = event.error, call.span
        if error is not None and call.attempt is not None:
            self._set_error(call.attempt, error, type(error).__name__)
        self._end_attempt(call, event.billed, None)
        span.set_attributes(
            {
                "memories.outcome": event.outcome,
                "memories.billed": event.billed,
                "memories.replayed": event.replayed,
                "memories.attempts": event.attempts,
                "memories.wait.seconds": event.waited,
            }
        )
        if error is not None:
            self._set_error(span, error, type(error).__name__)
        call.leave()
        span.end()
        self._metrics.count_call(call, event)

    def _begin_batch(self, event: events.BatchBegan) -> None:
        attributes = drop_none({"memories.batch_id": event.batch_id, "memories.items": event.total})
        outer = self._find_parent()
        span = self._tracer.start_span("batch", outer, attributes=attributes)
        self._batches[event.batch_id] = trace.set_span_in_context(span, outer)

    def _end_batch(self, event: events.BatchEnded) -> None:
        span = trace.get_current_span(self._batches.pop(event.batch_id, Context()))
        counts = ("done", "replayed", "refused", "unknown", "unsent", "cancelled")
        span.set_attributes({f"memories.items.{name}": getattr(event, name) for name in counts})
        if event.error is not None:
            self._set_error(span, event.error, type(event.error).__name__)
        span.end()

    def _add_callback(self, event: events.CallbackReceived) -> None:
        carrier = {} if event.trace is None else {"traceparent": event.trace}
        submission = trace.get_current_span(_PROPAGATOR.extract(carrier, Context()))
        found = submission.get_span_context()
        attributes = drop_none(
            {
                "memories.call": event.call,
                "memories.callback.kind": event.kind,
                "memories.callback.seconds": event.seconds,
                "memories.task_id": event.task_id,
                "http.response.status_code": event.status,
            }
        )
        self._tracer.start_span(
            f"callback {event.call or 'unknown'}",
            kind=trace.SpanKind.CONSUMER,
            attributes=attributes,
            links=[trace.Link(found)] if found.is_valid else [],
        ).end()
        self._metrics.callbacks.add(1, {"memories.callback.kind": event.kind})

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._is_global:
            raise TypeError(
                "a Telemetry with providers of its own does not pickle: set the global providers, in"
                " each process"
            )
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return self._unpickle, (self._show_items, self._show_errors, carrier)

    @classmethod
    def _unpickle(cls, show_items: bool, show_errors: bool, carrier: dict[str, str]) -> Self:
        telemetry = cls(show_items=show_items, show_errors=show_errors)
        telemetry._origin = _PROPAGATOR.extract(carrier, Context())
        return telemetry
