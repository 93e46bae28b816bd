"""The spans of calls: one for each call, one below it for each request."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from callers import Scripted, Unlimited, over, settings
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from samples import (
    ACCEPTED,
    EMBEDDED,
    FOUND,
    KEY,
    LIMITED,
    caption_call,
    embed_call,
    reply,
    search_call,
)
from servers import answer, serving

from memories_async import InvalidRequest, Ledger, OutcomeUnknown, blocking, calls, clips, videos
from memories_async.errors import NotSent

DOWN = NotSent("down", transient=True)


async def test_a_call_is_one_span_over_all_its_requests(recorded):
    """Refused for its rate, never sent, answered: each request is a span below it."""
    script = [reply(LIMITED, status=429), DOWN, reply(EMBEDDED)]
    one = over(Scripted(script), observers=[recorded.observer()], limiter=Unlimited())
    await one.send(embed_call())

    call, *requests = recorded.spans
    assert (call.name, call.kind) == ("embeddings multimodalembedding@001", SpanKind.CLIENT)
    assert call.status.status_code is StatusCode.UNSET
    assert {request.parent.span_id for request in requests} == {call.context.span_id}
    assert [request.name for request in requests] == ["POST"] * 3
    assert [request.status.status_code for request in requests] == [
        *(StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET)
    ]
    assert [request.attributes.get("error.type") for request in requests] == [
        "429",
        "NotSent",
        None,
    ]
    assert [request.attributes["memories.billed"] for request in requests] == ["no", "no", "yes"]
    assert [request.attributes.get("http.request.resend_count") for request in requests] == [
        *(None, 1, 2)
    ]
    assert call.start_time <= requests[0].start_time
    assert requests[-1].end_time <= call.end_time


async def test_the_spans_follow_the_conventions(recorded):
    """Those of generative AI for the call, those of HTTP for the request."""
    one = over(Scripted([reply(EMBEDDED)]), observers=[recorded.observer()], account="team")
    await one.send(embed_call())

    call, request = recorded.spans
    assert call.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.41.0"
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "memories_ai",
        "gen_ai.request.model": "multimodalembedding@001",
        "server.address": "localhost",
        "server.port": 1,
        "memories.call": "embeddings.video",
        "memories.call_id": call.attributes["memories.call_id"],
        "memories.account": "team",
        "memories.outcome": "done",
        "memories.billed": "yes",
        "memories.replayed": False,
        "memories.attempts": 1,
        "memories.wait.seconds": call.attributes["memories.wait.seconds"],
    }
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "server.address": "localhost",
        "server.port": 1,
        "url.full": "http://localhost:1" + embed_call().path,
        "http.response.status_code": 200,
        "memories.billed": "yes",
    }


@pytest.mark.parametrize(
    ("call", "body", "name"),
    [
        (search_call(), FOUND, "retrieval clips.search"),
        (caption_call(), ACCEPTED, "generate_content captions.upload"),
        (videos.delete(["VI1"]), {"code": "0000", "msg": "success"}, "videos.delete"),
        (calls.request("GET", "search", "/serve/x/123"), {"code": "0000", "data": 1}, "request"),
    ],
)
async def test_each_kind_of_call_has_its_name(recorded, call, body, name):
    """A path that the caller chose is in no name, of which there should be few."""
    one = over(Scripted([reply(body)]), observers=[recorded.observer()])
    await one.send(call)

    assert recorded.spans[0].name == name


async def test_no_attribute_holds_what_nobody_asked_to_see(recorded):
    """No key, prompt, file name, query or message; the key of an item only if it is an identifier."""
    refused = reply({"code": "0003", "msg": "the prompt 'a red shirt' is bad"}, status=400)
    one = over(Scripted([refused]), observers=[recorded.observer()])
    secret = calls.request("GET", "search", "/x", query={"token": "secret-in-query"})
    items = {"my holiday.mp4": search_call(), "re_12": search_call(), 3: secret}
    async with one.batch(items) as batch:
        assert len([outcome async for outcome in batch]) == 3

    shown = "".join(span.to_json() for span in recorded.spans)
    shown += recorded.reader.get_metrics_data().to_json()
    for hidden in (KEY, "red shirt", "holiday", "secret-in-query", "bad"):
        assert hidden not in shown
    named = {span.attributes.get("memories.item") for span in recorded.spans} - {None}
    assert {"re_12", "3"} < named
    assert [len(name) for name in named if name.startswith("blake2b:")] == [24]


async def test_items_and_messages_are_shown_where_that_is_switched_on(recorded):
    """They help to find an item, and to read what the service said."""
    refused = reply({"code": "0003", "msg": "the words of the service"}, status=400)
    observer = recorded.observer(show_items=True, show_errors=True)
    one = over(Scripted([refused]), observers=[observer])
    async with one.batch({"my holiday.mp4": search_call()}) as batch:
        assert [outcome async for outcome in batch]

    call = recorded.find("retrieval clips.search")
    assert call.attributes["memories.item"] == "my holiday.mp4"
    assert "the words of the service" in call.status.description


async def test_an_error_is_told_by_its_type_and_code(recorded):
    """On the request by the HTTP conventions, on the call by the class of the exception."""
    refused = reply({"code": "0003", "msg": "no"})
    one = over(Scripted([refused]), observers=[recorded.observer()])
    with pytest.raises(InvalidRequest):
        await one.send(search_call())

    call, request = recorded.spans
    assert call.attributes["error.type"] == request.attributes["error.type"] == "InvalidRequest"
    assert request.attributes["memories.code"] == "0003"
    assert (call.status.status_code, call.status.description) == (
        *(StatusCode.ERROR, "InvalidRequest"),
    )


async def test_a_cancelled_call_ends_its_spans(recorded):
    """Both say that it may have been billed."""
    sent = asyncio.Event()

    class Silent(Scripted):
        async def carry(self, request):
            request.on_sent()
            sent.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(over(Silent([]), observers=[recorded.observer()]).send(embed_call()))
    await sent.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    call, request = recorded.spans
    assert call.attributes["memories.outcome"] == "cancelled"
    for span in (call, request):
        assert span.attributes["memories.billed"] == "maybe"
        assert span.attributes["error.type"] == "CancelledError"
    assert [event.name for event in request.events] == ["sent"]


async def test_a_replay_is_a_span_without_a_request(recorded, tmp_path):
    """It was not billed again."""
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(Scripted([reply(EMBEDDED)]), observers=[recorded.observer()], ledger=ledger)
        await one.send(embed_call())
        await one.send(embed_call())

    *_, replay = recorded.spans
    assert [span.name for span in recorded.spans].count("POST") == 1
    assert replay.attributes["memories.replayed"] is True
    assert replay.attributes["memories.billed"] == "no"


async def test_the_span_of_a_call_is_the_current_one_while_it_runs(recorded, caplog):
    """For spans of others below it and for the log; afterwards the program's own is current again."""
    caplog.set_level(logging.DEBUG, "memories_async")

    class Instrumented(Scripted):
        async def carry(self, request):
            with recorded.tracer.start_as_current_span("below"):
                return await super().carry(request)

    one = over(Instrumented([reply(EMBEDDED)]), observers=[recorded.observer()])
    with recorded.tracer.start_as_current_span("program") as program:
        await one.send(embed_call())
        assert trace.get_current_span() is program
    await one.send(embed_call("re_2"))

    first, second = [span for span in recorded.spans if span.name.startswith("embeddings")]
    below = [span for span in recorded.spans if span.name == "below"]
    assert first.parent.span_id == recorded.find("program").context.span_id
    assert second.parent is None
    assert [span.parent.span_id for span in below] == [
        *(first.context.span_id, second.context.span_id)
    ]
    traces = [record.trace_id for record in caplog.records if ": sending" in record.message]
    assert traces == [f"{span.context.trace_id:032x}" for span in (first, second)]
    assert not trace.get_current_span().get_span_context().is_valid


async def test_calls_of_tasks_threads_and_the_blocking_client_belong_to_the_programs_span(recorded):
    """Wherever the program's span is current, there the call's span is below it."""
    async with serving(answer(EMBEDDED)) as server:
        observers = [recorded.observer()]
        one = over(Scripted([reply(EMBEDDED)]), observers=observers)

        def block():
            with blocking.Client(**settings(server.url, observers=observers)) as client:
                client.send(embed_call("re_b"))
                with client.batch({"b": embed_call("re_c")}) as batch:
                    assert len([*batch]) == 1

        with recorded.tracer.start_as_current_span("program"):
            await asyncio.gather(*(one.send(embed_call(f"re_{n}")) for n in range(2)))
            await asyncio.to_thread(block)
        thread = threading.Thread(target=block)
        thread.start()
        await asyncio.to_thread(thread.join)

    program = recorded.find("program").context
    named = [span for span in recorded.spans if span.name.startswith("embeddings")]
    inside = [span for span in named if span.context.trace_id == program.trace_id]
    batches = {span.context.span_id: span for span in recorded.spans if span.name == "batch"}
    assert (len(inside), len(named)) == (4, 6)
    for span in inside:
        parent = batches.get(span.parent.span_id, span)
        assert parent.parent.span_id == program.span_id


PICKLED = """
import asyncio, json, pickle, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

provider, spans = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

from memories_async import Client, embeddings
from memories_async.errors import MemoriesError
from memories_async.telemetry import Telemetry

async def send(client):
    try:
        await client.send(embeddings.video("re_1"))
    except MemoriesError:
        pass

if sys.argv[1] == "driver":
    client = Client(observers=[Telemetry()])
    with provider.get_tracer("driver").start_as_current_span("job"):
        sys.stdout.buffer.write(pickle.dumps(client))
else:
    asyncio.run(send(pickle.loads(sys.stdin.buffer.read())))
for span in spans.get_finished_spans():
    parent = span.parent and span.parent.span_id
    print(span.name, span.context.trace_id, span.context.span_id, parent, file=sys.stderr)
"""


def test_the_calls_of_a_pickled_client_belong_to_the_span_that_it_was_sent_from():
    """As on Ray, Dask or a pool of processes: another process, which may be on another machine."""
    environment = {
        "MEMORIES_API_KEY": KEY,
        "MEMORIES_V2_BASE_URL": "http://127.0.0.1:9",
        "MEMORIES_LIMITER": "process",
        "MEMORIES_ATTEMPTS": "1",
        "PYTHONPATH": ":".join(sys.path),
    }

    def run(role, stdin=b""):
        return subprocess.run(
            [sys.executable, "-c", PICKLED, role],
            input=stdin,
            capture_output=True,
            check=True,
            env=environment,
        )

    driver = run("driver")
    worker = run("worker", driver.stdout)
    job = driver.stderr.split()
    sent = {line.split()[0]: line.split() for line in worker.stderr.splitlines()}
    call = sent[b"embeddings"]
    assert call[2] == job[1], "the same trace"
    assert call[4] == job[2], "below the job"
    assert sent[b"POST"][3] == call[3]


def test_providers_of_ones_own_do_not_pickle(recorded):
    """They would be lost without a word."""
    import pickle

    with pytest.raises(TypeError, match="global providers"):
        pickle.dumps(recorded.observer())


def test_the_error_of_a_missing_package_names_the_extra(monkeypatch):
    """OpenTelemetry is no dependency of the package."""
    import importlib

    for name in [name for name in sys.modules if name.startswith("memories_async.telemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"memories_async\[otel\]"):
        importlib.import_module("memories_async.telemetry")


async def test_a_search_by_file_names_no_file(recorded, tmp_path):
    """Nor does an upload."""
    picture = tmp_path / "grandmother.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(32))
    one = over(
        Scripted([OutcomeUnknown(f"cannot read {picture}")]), observers=[recorded.observer()]
    )
    with pytest.raises(OutcomeUnknown):
        await one.send(clips.search(picture, prompt="p", video_no="VI1"))

    assert "grandmother" not in "".join(span.to_json() for span in recorded.spans)


@pytest.mark.parametrize(
    ("tag", "shown"), [("order-7", "order-7"), ("Anna's film.mp4", "blake2b:"), (None, "")]
)
async def test_the_span_of_a_caption_has_its_tag(recorded, tag, shown):
    """As it is if it is an identifier, and as its hash otherwise."""
    one = over(Scripted([reply(ACCEPTED)]), observers=[recorded.observer()])

    await one.send(caption_call(tag=tag))

    told = recorded.spans[0].attributes.get("memories.tag")
    assert (told is None) is (tag is None)
    assert (told or "").startswith(shown)
    assert told != "Anna's film.mp4"
