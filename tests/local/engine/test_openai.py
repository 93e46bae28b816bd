"""Captions come from the model that the user configured; its failures are told without the key."""

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
    """An endpoint on loopback that answers as told and keeps what it was asked."""

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
                """Keep quiet."""

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


def test_copies_text_and_usage(seeing, film, model):
    """The endpoint's own count, not ours."""
    told = seeing.caption(seeing.index(film), ask())

    assert (told.text, told.input_tokens, told.output_tokens) == (
        "A garden, then the sea.",
        1234,
        7,
    )
    assert model.path == "/v1/chat/completions"
    assert model.headers["Authorization"] == f"Bearer {KEY}"
    assert model.asked["model"] == "tiny"


def test_sends_frames_of_the_film_with_their_times(seeing, film, model, frame):
    """Real pictures, eight of them, each near the frame it claims to be."""
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


def test_sends_reference_pictures_by_name(seeing, film, model):
    """Labelled; and names without a picture as names."""
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


def test_counts_tokens_itself_where_the_endpoint_does_not(seeing, film, model):
    """By the service's own rule."""
    model.body = {
        "choices": [{"message": {"content": "12345"}}],
        "usage": {"prompt_tokens": "many"},
    }

    told = seeing.caption(seeing.index(film), ask())

    assert told.output_tokens == 2
    assert 20 < told.input_tokens < 200


def test_sends_no_empty_system_prompt_and_no_absent_key(engine, film, model):
    """What was not given is not sent."""
    open_engine = OpenAIEngine(base=engine, base_url=model.url + "/", model="tiny")

    open_engine.caption(open_engine.index(film), CaptionRequest(user_prompt="x", system_prompt=""))

    assert [message["role"] for message in model.asked["messages"]] == ["user"]
    assert "Authorization" not in model.headers


@pytest.mark.parametrize("status", [302, 307, 400, 401, 429, 500])
def test_a_refusal_is_a_failure_that_names_its_status(seeing, film, model, status):
    """And holds neither the key nor the body."""
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
def test_an_unreadable_answer_is_a_failure(seeing, film, model, body):
    """Never an empty caption."""
    model.body = body

    with pytest.raises(EngineFailed, match="answer"):
        seeing.caption(seeing.index(film), ask())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_absent_endpoint_is_a_failure(engine, film, scheme):
    """Nobody listens there."""
    lost = OpenAIEngine(
        base=engine, base_url=f"{scheme}://127.0.0.1:9/v1", model="tiny", api_key=KEY
    )

    with pytest.raises(EngineFailed, match="no answer"):
        lost.caption(lost.index(film), ask())


def test_an_answer_that_does_not_come_is_a_failure(seeing, film, model):
    """After the time that was set."""
    model.pieces = 60.0
    hasty = evolve(seeing, timeout=0.05)

    with pytest.raises(EngineFailed, match=r"no answer within 0\.05 s"):
        hasty.caption(hasty.index(film), ask())


def test_an_answer_that_trickles_is_a_failure(seeing, film, model):
    """No silence is long; the whole is."""
    model.pieces = 0.01
    hasty = evolve(seeing, timeout=0.1)

    with pytest.raises(EngineFailed, match=r"no answer within 0\.1 s"):
        hasty.caption(hasty.index(film), ask())


def test_searches_and_embeds_by_pixels(seeing, engine, film, jpeg):
    """Only captions go out."""
    index = seeing.index(film)

    assert index.facts == engine.index(film).facts
    assert seeing.search(index, jpeg(1.3), "x") == engine.search(engine.index(film), jpeg(1.3), "x")
    assert seeing.embed(index, 512) == engine.embed(engine.index(film), 512)
    assert seeing.name == "pixels/4+tiny"


def test_refuses_the_index_of_another_engine(seeing, engine, film):
    """Mixed engines are a mistake of the caller."""
    with pytest.raises(TypeError, match="another engine"):
        seeing.embed(engine.index(film), 512)


def test_the_key_is_in_no_repr_and_no_pickle(seeing):
    """Who unpickles looks it up for itself."""
    pickled = pickle.dumps(evolve(seeing, base=FixedEngine()))

    assert KEY not in repr(seeing)
    assert KEY.encode() not in pickled
    assert pickle.loads(pickled).endpoint.key.reveal() == KEY


@pytest.mark.parametrize(("status", "told"), [(200, "A garden, then the sea."), (401, "the key")])
def test_captions_what_is_uploaded_to_the_service(seeing, film, model, status, told):
    """The model's words come by callback, or why there are none; its usage is what was used."""
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


def test_the_video_may_go_away(seeing, film, tmp_path, model):
    """As an upload does, whose file is gone before it is captioned."""
    copy = tmp_path / "upload.mp4"
    copy.write_bytes(film.read_bytes())
    index = evolve(seeing, cache=None).index(copy)
    copy.unlink()

    assert seeing.caption(index, ask()).text == "A garden, then the sea."
