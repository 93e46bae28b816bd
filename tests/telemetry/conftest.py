"""A `Telemetry` over the real SDK, whose spans and metrics stay in memory."""

from __future__ import annotations

import pytest
from attrs import define

pytest.importorskip("opentelemetry.sdk", reason="needs the SDK of OpenTelemetry")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from memories_async.telemetry import Telemetry


@define
class Recorded:
    """What the SDK was given."""

    spans_in_memory: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracer_provider: TracerProvider
    meter_provider: MeterProvider

    def observer(self, **options) -> Telemetry:
        """An observer over these providers."""
        return Telemetry(
            tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **options
        )

    @property
    def tracer(self):
        """A tracer of the program's own."""
        return self.tracer_provider.get_tracer("program")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The finished spans, in the order in which they began."""
        finished = self.spans_in_memory.get_finished_spans()
        return tuple(sorted(finished, key=lambda span: span.start_time))

    def find(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def points(self, name: str) -> dict[frozenset, float]:
        """The values of a metric by attributes; of a histogram, the sums."""
        data = self.reader.get_metrics_data()
        metrics = [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        (metric,) = [one for one in metrics if one.name == name]
        return {
            frozenset(point.attributes.items()): getattr(
                point, "value", getattr(point, "sum", None)
            )
            for point in metric.data.data_points
        }


@pytest.fixture
def recorded() -> Recorded:
    """Fresh providers."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    yield Recorded(spans, reader, tracers, meters)
    tracers.shutdown()
    meters.shutdown()
