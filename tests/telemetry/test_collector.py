"""From a web application with two workers, a batch and a receiver to a collector, by OTLP over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from attrs import define, field

pytest.importorskip("fastapi", reason="the application is one of FastAPI")
pytest.importorskip("uvicorn", reason="the application is served by uvicorn")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the exporter")

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from memories_async import Ledger, embeddings
from memories_async.local import Callbacks, LocalService
from memories_async.local.engine.fixed import FixedEngine
from memories_async.telemetry import Telemetry

APPLICATION = """
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from memories_async import Client, Receiver
from memories_async.telemetry import Telemetry

resource = Resource({"service.name": "web", "process.pid": os.getpid()})
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(spans)
values = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
metrics.set_meter_provider(values)
tracer = trace.get_tracer("application")
receiver = Receiver(os.environ["PUBLIC_URL"], store=os.environ["STORE"])
client = Client(receiver=receiver, observers=[Telemetry()])

@asynccontextmanager
async def lifespan(app):
    async with client:
        yield
    spans.shutdown()
    values.shutdown()

app = FastAPI(lifespan=lifespan)
app.mount("/memories", receiver.asgi)

@app.get("/embed/{asset_id}")
async def embed(asset_id: str) -> int:
    with tracer.start_as_current_span("GET /embed"):
        return len(await client.embeddings.video(asset_id))

@app.get("/caption")
async def caption(url: str, user_prompt: str, system_prompt: str) -> str:
    with tracer.start_as_current_span("GET /caption"):
        task = await client.captions.upload(
            url, user_prompt=user_prompt, system_prompt=system_prompt
        )
    return task.task_id

@app.get("/wait/{task_id}")
async def wait(task_id: str) -> str:
    return (await receiver.wait(task_id, timeout=30)).text
"""


@define(eq=False)
class Collector:
    """Takes what exporters send to it."""

    url: str = ""
    spans: list = field(factory=list)
    """Pairs of a resource's attributes, with the name of the library that made the span, and a span."""
    metrics: set = field(factory=set)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                facts = read_attributes(resource.resource)
                for scope in resource.scope_spans:
                    of = {**facts, "scope": scope.scope.name}
                    self.spans += [(of, span) for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics |= {metric.name for metric in scope.metrics}

    def find(self, name: str) -> list:
        return [span for _, span in self.spans if span.name == name]


def read_attributes(holder) -> dict:
    """The attributes of a resource or a span."""
    pairs = ((one.key, one.value) for one in holder.attributes)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in pairs}


@pytest.fixture
def collector():
    """A collector on a port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            """Serve the film to be captioned."""
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"video")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    yield collector
    server.shutdown()
    thread.join()
    server.server_close()


def get(url: str):
    """Request *url* and read the JSON of the answer."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def application(tmp_path, collector, unused_tcp_port, service):
    """The application, served by uvicorn with two workers."""
    (tmp_path / "application.py").write_text(APPLICATION)
    url = f"http://127.0.0.1:{unused_tcp_port}"
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join([str(tmp_path), *sys.path]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "PUBLIC_URL": f"{url}/memories",
        "STORE": str(tmp_path / "callbacks.db"),
        "MEMORIES_API_KEY": service.api_key,
        "MEMORIES_LIMITER": "process",
        **{f"MEMORIES_{host}_BASE_URL": service.url for host in ("V1", "V2", "CAPTION")},
    }
    options = ["--workers", "2", "--port", str(unused_tcp_port), "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "application:app", *options],
        env=environment,
        cwd=tmp_path,
    )
    try:
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
async def service(tmp_path):
    """The embedded service, with a few videos."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.mp4").write_bytes(b"video %d" % number)
    async with LocalService(
        folder, engine=FixedEngine(), limits=None, callbacks=Callbacks(pause=0.01)
    ) as service:
        yield service


async def ask(url: str):
    """Ask the application, which may still be starting."""
    for _ in range(600):
        try:
            return await asyncio.to_thread(get, url)
        except (ConnectionError, urllib.error.URLError) as error:
            refused = getattr(error, "reason", error)
            if not isinstance(refused, ConnectionError):
                raise
        await asyncio.sleep(0.1)
    raise AssertionError(f"{url} did not answer")


@pytest.mark.slow
async def test_spans_and_metrics_reach_a_collector(application, collector, service, tmp_path):
    """Calls below the application's spans, a callback linked to its submission, a batch of this process."""
    url, process = application
    ids = [video.asset_id for video in service.library]
    asked = f"user_prompt=what&system_prompt=brief&url={collector.url}/grandmother.mp4"
    await asyncio.gather(*(ask(f"{url}/embed/{ids[0]}") for _ in range(8)))
    task_id = await ask(f"{url}/caption?{asked}")
    assert await ask(f"{url}/wait/{task_id}")

    provider = TracerProvider(resource=Resource({"service.name": "batch"}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces"))
    )
    observer = Telemetry(tracer_provider=provider)
    items = {id_: embeddings.video(id_) for id_ in ids}
    with Ledger(tmp_path / "run.db") as ledger:
        client = service.client(observers=[observer], ledger=ledger)
        async with client, client.batch(items) as batch:
            assert len([outcome async for outcome in batch]) == 3
    await asyncio.to_thread(provider.shutdown)
    await asyncio.to_thread(process.terminate)
    assert await asyncio.to_thread(process.wait, 60) == 0

    embeds = {span.span_id: span for span in collector.find("GET /embed")}
    calls = collector.find("embeddings multimodalembedding@001")
    (batch_span,) = collector.find("batch")
    parents = Counter(
        "batch" if span.parent_span_id == batch_span.span_id else embeds[span.parent_span_id].name
        for span in calls
    )
    assert parents == {"GET /embed": 8, "batch": 3}
    (submission,) = collector.find("generate_content captions.upload")
    (callback,) = collector.find("callback captions.upload")
    assert [link.span_id for link in callback.links] == [submission.span_id]
    assert read_attributes(callback)["memories.callback.kind"] in {"result", "early"}
    assert {facts["service.name"] for facts, _ in collector.spans} == {"web", "batch"}
    assert collector.metrics >= {"memories.calls", "memories.callbacks", "memories.limiter.wait"}
    ours = [span for facts, span in collector.spans if facts["scope"] == "memories_async"]
    shown = "".join(map(str, ours))
    assert service.api_key not in shown
    assert "grandmother" not in shown
