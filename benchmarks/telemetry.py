"""What do events, and OpenTelemetry, cost a call? Client CPU, 1,024 numbers a reply, 16 at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import _harness as harness
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from memories_async import Client, Hosts, InProcessLimiter, Limit, Limits, embeddings
from memories_async._client.call_runner import CallRunner
from memories_async.events import Event, Observer
from memories_async.telemetry import Telemetry

WIDTH = 16


class NoExporter(SpanExporter):
    """Sends spans nowhere: what is measured is the making of spans and the SDK's batches of them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Drop *spans*."""
        return SpanExportResult.SUCCESS


def ignore(event: Event) -> None:
    """Observe nothing."""


def build_telemetry() -> Telemetry:
    """Build an observer over the SDK, with its batch processor."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(NoExporter(), max_queue_size=100_000))
    return Telemetry(
        tracer_provider=tracers, meter_provider=MeterProvider([InMemoryMetricReader()])
    )


def connect(url: str, *observers: Observer) -> Client:
    """Build a client whose rate is out of reach."""
    return Client(
        api_key=harness.KEY,
        hosts=Hosts.at(url),
        limits=Limits(embeddings=Limit(1e9, concurrency=WIDTH)),
        limiter=InProcessLimiter(),
        observers=observers,
    )


def cost(client: Client, count: int) -> harness.Cost:
    """Measure CPU seconds a call."""
    call = embeddings.video("re_657")

    async def measure() -> float:
        begun = time.process_time()
        await harness.at_once(lambda: client.send(call), count=count, width=WIDTH)
        return harness.cpu_per_call(begun, count)

    return measure


def time_context(client: Client, *, entered: bool, count: int = 20_000) -> float:
    """Measure CPU seconds of a call's object, and of entering and leaving it as a context."""
    call, settings, transport = embeddings.video("re_657"), client._settings, client._transport
    begun = time.process_time()
    if entered:
        for _ in range(count):
            with CallRunner(settings, transport, call):
                pass
    else:
        for _ in range(count):
            CallRunner(settings, transport, call)
    return harness.cpu_per_call(begun, count)


async def main(*, few: bool) -> None:
    """Measure in interleaved rounds, and print."""
    count, rounds = (1_000, 5) if few else (4_000, 15)
    with harness.server() as url:
        kinds = {"none": (), "empty": (ignore,), "telemetry": (build_telemetry(),)}
        clients = {name: connect(url, *observers) for name, observers in kinds.items()}
        costs = await harness.rounds(
            {name: cost(client, count) for name, client in clients.items()}, rounds
        )
        for client in clients.values():
            await client.aclose()
        added = [
            1e6 * (time_context(client, entered=True) - time_context(client, entered=False))
            for client in [clients["none"]] * (3 * rounds)
        ]
    # The least of three neighbours: what comes between only adds.
    least = [min(added[at : at + 3]) for at in range(0, len(added), 3)]
    harness.report(
        "events_without_an_observer",
        least,
        yardstick="none",
        unit="microseconds",
        at_most=1.0,
    )
    for name, target in (("empty", 1.25), ("telemetry", 3.0)):
        harness.report(
            f"call_cpu_with_{name}_observer",
            harness.ratios(costs[name], costs["none"]),
            yardstick="the same call without an observer",
            at_most=target,
        )


if __name__ == "__main__":
    asyncio.run(main(few=harness.quick(__doc__)))
