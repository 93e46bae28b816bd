"""Captions come from the configured endpoint; its failures are reported without the key."""

from __future__ import annotations

import base64
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest
from attrs import evolve

from memories_async.local import LocalService, PageLimits
from memories_async.local.engine.fixed import FixedEngine
from memories_async.local.engine.openai import OpenAIEngine
from memories_async.local.engine.protocol import CaptionRequest, EngineFailed, ReferencePerson

KEY = "local-secret-key"
ANSWER = {
    "choices": [{"message": {"content": "A garden, then the sea."}}],
    "usage": {"prompt_tokens": 1234, "completion_tokens": 7},
}


class Model:
    """An endpoint on loopback that gives set answers and records the requests."""

    def __init__(self):
        self.status, self.body, self.asked, self.headers, self.path = 200, ANSWER, None, None, None
        self.location, self.pieces, self.release = "", None, threading.Event()
        self.requests = 0
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                model.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model.headers, model.path = dict(self.headers), self.path
                model.requests += 1
                body = (
                    model.body if isinstance(model.body, bytes) else json.dumps(model.body).encode()
                )
                self.send_response(model.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", model.location)
                self.end_headers()
                if model.pieces:
                    self.trickle(body)
                else:
                    self.wfile.write(body)

            def trickle(self, body):
                """Send byte after byte, never for so long that a silence would be noticed."""
                for at in range(len(body)):
                    if model.release.wait(model.pieces):
                        break
                    self.wfile.write(body[at : at + 1])

            def log_message(self, *_):
                """Write no log."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def model():
    """A running endpoint."""
    served = Model()
    served.location = f"{served.url}/elsewhere"
    thread = threading.Thread(target=served.server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.release.set()
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture(scope="session")
def taken(tmp_path_factory):
    """The folder in which frames are kept."""
    return tmp_path_factory.mktemp("taken")


@pytest.fixture
def seeing(engine, model, taken) -> OpenAIEngine:
    """The engine with the endpoint behind it."""
    return OpenAIEngine(base=engine, base_url=model.url, model="tiny", api_key=KEY, cache=taken)


def ask(**more):
    return CaptionRequest(user_prompt="what happens?", system_prompt="be brief", **more)


def test_text_and_usage_are_those_of_the_endpoint(seeing, film, model):
    """Its own count of tokens."""
    told = seeing.caption(seeing.index(film), ask())

    assert (told.text, told.input_tokens, told.output_tokens) == (
        "A garden, then the sea.",
        1234,
        7,
    )
    assert model.path == "/v1/chat/completions"
    assert model.headers["Authorization"] == f"Bearer {KEY}"
    assert model.asked["model"] == "tiny"


def test_request_holds_frames_with_their_times(seeing, film, model, frame):
    """Eight pictures, each near the frame it claims to be."""
    seeing.caption(seeing.index(film), ask())

    system, user = model.asked["messages"]
    assert system == {"role": "system", "content": "be brief"}
    labels = [part["text"] for part in user["content"] if part["type"] == "text"]
    times = [float(text.split()[2]) for text in labels if text.startswith("Frame at")]
    pictures = [part["image_url"]["url"] for part in user["content"] if part["type"] == "image_url"]
    assert len(times) == len(pictures) == 8
    for time, picture in zip(times, pictures, strict=True):
        raw = np.frombuffer(
            base64.b64decode(picture.removeprefix("data:image/jpeg;base64,")), np.uint8
        )
        sent, shown = (
            cv2.resize(one, (48, 27), interpolation=cv2.INTER_AREA).astype(int)
            for one in (cv2.imdecode(raw, 1), frame(time))
        )
        assert np.abs(sent - shown).mean() < 12


def test_request_labels_reference_pictures_by_name(seeing, film, model):
    """Persons without a picture are named only."""
    people = (
        ReferencePerson(name="Alice", image=b"\x89PNG..."),
        ReferencePerson(name="Bob", image=None),
        ReferencePerson(name="Cleo", image=b"RIFF....WEBP"),
    )

    seeing.caption(seeing.index(film), ask(persons=people, thinking=True))

    parts = model.asked["messages"][1]["content"]
    at = parts.index({"type": "text", "text": "Reference picture of Alice:"})
    assert parts[at + 1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert any("Bob" in part.get("text", "") for part in parts)
    assert any(
        part.get("image_url", {}).get("url", "").startswith("data:image/webp") for part in parts
    )
    assert "step by step" in parts[-1]["text"]


def test_tokens_are_counted_where_the_endpoint_does_not(seeing, film, model):
    """By the embedded service's own rule."""
    model.body = {
        "choices": [{"message": {"content": "12345"}}],
        "usage": {"prompt_tokens": "many"},
    }

    told = seeing.caption(seeing.index(film), ask())

    assert told.output_tokens == 2
    assert 20 < told.input_tokens < 200


def test_empty_system_prompt_and_absent_key_are_not_sent(engine, film, model):
    """The request has no such fields."""
    open_engine = OpenAIEngine(base=engine, base_url=model.url + "/", model="tiny")

    open_engine.caption(open_engine.index(film), CaptionRequest(user_prompt="x", system_prompt=""))

    assert [message["role"] for message in model.asked["messages"]] == ["user"]
    assert "Authorization" not in model.headers


@pytest.mark.parametrize("status", [302, 307, 400, 401, 429, 500])
def test_refusal_of_the_endpoint_names_its_status(seeing, film, model, status):
    """The message contains neither the key nor the body."""
    model.status, model.body = status, f"wrong key {KEY}".encode()

    with pytest.raises(EngineFailed, match=str(status)) as caught:
        seeing.caption(seeing.index(film), ask())
    assert KEY not in repr(caught.value)
    assert model.requests == 1
    assert model.path == "/v1/chat/completions"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        pytest.param(b"[" * 100_000, id="deep"),
        {"choices": []},
        {"choices": [{"message": {"content": " "}}]},
    ],
)
def test_unreadable_answer_is_a_failure(seeing, film, model, body):
    """It never becomes an empty caption."""
    model.body = body

    with pytest.raises(EngineFailed, match="answer"):
        seeing.caption(seeing.index(film), ask())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_unreachable_endpoint_is_a_failure(engine, film, scheme):
    """No server listens there."""
    lost = OpenAIEngine(
        base=engine, base_url=f"{scheme}://127.0.0.1:9/v1", model="tiny", api_key=KEY
    )

    with pytest.raises(EngineFailed, match="no answer"):
        lost.caption(lost.index(film), ask())


def test_missing_answer_is_a_failure_after_the_timeout(seeing, film, model):
    """The endpoint stays silent."""
    model.pieces = 60.0
    hasty = evolve(seeing, timeout=0.05)

    with pytest.raises(EngineFailed, match=r"no answer within 0\.05 s"):
        hasty.caption(hasty.index(film), ask())


def test_slow_answer_is_a_failure_after_the_timeout(seeing, film, model):
    """No pause is long, but the whole is."""
    model.pieces = 0.01
    hasty = evolve(seeing, timeout=0.1)

    with pytest.raises(EngineFailed, match=r"no answer within 0\.1 s"):
        hasty.caption(hasty.index(film), ask())


def test_search_and_embed_use_the_base_engine(seeing, engine, film, jpeg):
    """Only captions are sent to the endpoint."""
    index = seeing.index(film)

    assert index.facts == engine.index(film).facts
    assert seeing.search(index, jpeg(1.3), "x") == engine.search(engine.index(film), jpeg(1.3), "x")
    assert seeing.embed(index, 512) == engine.embed(engine.index(film), 512)
    assert seeing.name == "pixels/7+tiny"


def test_index_of_another_engine_is_refused(seeing, engine, film):
    """Mixing engines is a mistake of the caller."""
    with pytest.raises(TypeError, match="another engine"):
        seeing.embed(engine.index(film), 512)


def test_key_is_in_no_repr_and_no_pickle(seeing):
    """An unpickled engine reads it from the environment."""
    pickled = pickle.dumps(evolve(seeing, base=FixedEngine()))

    assert KEY not in repr(seeing)
    assert KEY.encode() not in pickled
    assert pickle.loads(pickled).endpoint.key.reveal() == KEY


@pytest.mark.parametrize(("status", "told"), [(200, "A garden, then the sea."), (401, "the key")])
def test_service_captions_uploads_with_the_model(seeing, film, model, status, told):
    """The text comes by callback, or the reason; usage is the endpoint's."""
    model.status = status
    with LocalService(engine=seeing, page_limits=PageLimits(shortest=1), limits=None) as service:
        with service.blocking_client() as client:
            task = client.captions.upload_file(
                film, user_prompt="what?", system_prompt="brief", callback=service.inbox.url
            )
        body = service.inbox.wait_blocking(task.task_id)

    assert told in str(body)
    assert KEY not in str(body)
    if status == 200:
        assert body["data"]["token"] == {"input": 1234, "output": 7, "total": 1241}


def test_video_may_be_deleted_after_indexing(seeing, film, tmp_path, model):
    """As an upload is, before it is captioned."""
    copy = tmp_path / "upload.mp4"
    copy.write_bytes(film.read_bytes())
    index = evolve(seeing, cache=None).index(copy)
    copy.unlink()

    assert seeing.caption(index, ask()).text == "A garden, then the sea."
