"""The metrics of calls, requests and callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field
from opentelemetry import context, metrics, trace
from opentelemetry.context import Context

from memories_async import events

PROVIDER = "memories_ai"
_OPERATIONS = {"clips": "retrieval", "captions": "generate_content", "embeddings": "embeddings"}
"""What the GenAI conventions call the calls of a module."""
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The limits of the buckets that the GenAI conventions name."""
_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those that the HTTP conventions name."""


@define(eq=False)
class OpenCall:
    """A call that has begun and not ended, and the span of its attempt under way."""

    began: events.Began
    label: str
    """The call's name for metrics."""
    span: trace.Span
    inner: Context
    """The context in which the span is the current one."""
    outer: Context
    """The context that is restored when the call ends."""
    attempt: trace.Span | None = None
    http: dict[str, Any] = field(factory=dict[str, Any])
    """The attributes of the attempt for metrics."""
    is_queued: bool = False
    """Whether it waits for a permit."""

    def enter(self) -> None:
        """Make the call's span the current one: another task may have taken the call over."""
        if trace.get_current_span() is not self.span:
            context.attach(self.inner)

    def leave(self) -> None:
        """Make the span that was current before the current one again."""
        if trace.get_current_span() is self.span:
            context.attach(self.outer)


def label_call(call: str) -> str:
    """Return the name of a call; "request" for one of any path, of which there may be any number."""
    return "request" if "/" in call else call


def find_operation(call: str) -> str | None:
    """Return what the GenAI conventions call *call*; None where it is not about a model."""
    return _OPERATIONS.get(call.partition(".")[0])


class Metrics:
    """The instruments, and what is counted from a call's events."""

    def __init__(self, meter: metrics.Meter) -> None:
        self.durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of calls, over all attempts and waits.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.http_durations = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of single requests.",
            explicit_bucket_boundaries_advisory=_HTTP_SECONDS,
        )
        self.waits = meter.create_histogram(
            "memories.limiter.wait",
            "s",
            "Time that requests waited for a permit of the rate limiter.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.queue = meter.create_up_down_counter(
            "memories.limiter.queue", "{call}", "Calls that wait for a permit now."
        )
        self.pauses = meter.create_counter(
            "memories.limiter.pauses", "{pause}", "Pauses after a refusal for the rate."
        )
        self.calls = meter.create_counter("memories.calls", "{call}", "Calls that ended.")
        self.requests = meter.create_counter("memories.requests", "{request}", "Requests sent.")
        self.points = meter.create_counter(
            "memories.points",
            "{point}",
            "Points charged, or perhaps charged, at a budget's prices.",
        )
        self.callbacks = meter.create_counter(
            "memories.callbacks", "{callback}", "Callbacks received."
        )

    def count_queue(self, call: OpenCall, event: events.CallEvent) -> None:
        """Count a call that begins or ceases to wait for a permit."""
        is_queued = isinstance(event, events.Waiting) and event.reason == "permit"
        if is_queued is not call.is_queued:
            call.is_queued = is_queued
            self.queue.add(1 if is_queued else -1, {"memories.bucket": call.began.family})

    def count_call(self, call: OpenCall, event: events.Ended) -> None:
        """Count a call that ended, and what it cost."""
        began, billed = call.began, event.billed
        counted: dict[str, Any] = {
            "memories.call": call.label,
            "memories.outcome": event.outcome,
            "memories.billed": billed,
            "memories.replayed": event.replayed,
        }
        self.calls.add(1, counted)
        operation = find_operation(began.call)
        if operation is not None:
            attributes = {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": began.model,
                "error.type": None if event.error is None else type(event.error).__name__,
                **describe_server(began.base_url),
            }
            self.durations.record(event.seconds, drop_none(attributes))
        if began.price is not None and event.attempts and billed != "no":
            self.points.add(began.price, {"memories.call": call.label, "memories.billed": billed})


@lru_cache(maxsize=64)
def describe_server(url: str) -> Mapping[str, Any]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


def drop_none(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
