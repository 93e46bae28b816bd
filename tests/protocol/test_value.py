"""Answers as plain data, as JSON, and in the frameworks that people return them from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import fields, has
from samples import search_call

import memories_async
from memories_async import (
    Asset,
    Caption,
    CaptionTask,
    Clip,
    Embedding,
    InsufficientCredits,
    Outcome,
    Tokens,
    Video,
)
from memories_async._protocol.value import Value
from memories_async.batch import Progress
from memories_async.ledger import Summary

CLIP = Clip(start_time=1.5, end_time=2.0, score=0.75)
ANSWERS: list[Value] = [
    CLIP,
    CaptionTask("task 1"),
    Caption(text="é", tokens=Tokens(input=1, output=2, total=3), extra={"a": [1, {"b": None}]}),
    Caption(text="none"),
    Embedding([0.5, -1.0], model="m"),
    Video(video_no="VI1", duration=2.5, extra={"owner": "me"}),
    Asset(asset_id="re_1"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: type(one).__name__)
def test_an_answer_survives_the_way_through_json(answer):
    """`from_dict` reads what `to_dict` and `to_json` wrote."""
    assert json.loads(answer.to_json()) == answer.to_dict()
    assert type(answer).from_dict(json.loads(answer.to_json())) == answer


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: type(one).__name__)
def test_what_vars_shows_is_what_is_encoded(answer):
    """Encoders that know nothing of a class fall back on `vars`."""
    assert json.loads(json.dumps(vars(answer), default=vars)) == answer.to_dict()


def test_every_value_of_the_package_is_one():
    """Whatever the package's face offers as a frozen value of answers has `to_dict`."""
    inputs = {
        "Budget",
        "Call",
        "Exchange",
        "Flow",
        "Hosts",
        "Limit",
        "Limits",
        "Outcome",
        "Person",
        "Policy",
    }
    kinds = {name: getattr(memories_async, name) for name in memories_async.__all__}
    answers = {n for n, k in kinds.items() if isinstance(k, type) and has(k)} - inputs

    assert answers
    assert not [name for name in answers if not issubclass(kinds[name], Value)]


def test_an_error_is_plain_data_too():
    """Without the reply's body, which may hold what a stranger should not read."""
    error = InsufficientCredits("no points", call="clips.search", status=402, body=b"secret")

    assert json.loads(error.to_json()) == error.to_dict()
    assert error.to_dict()["type"] == "InsufficientCredits"
    assert error.to_dict()["billed"] == "no"
    assert "secret" not in error.to_json()


def answer_routes() -> Any:
    """A FastAPI application that returns answers in every way."""
    from fastapi import FastAPI

    app = FastAPI()
    app.get("/plain")(lambda: (CLIP, CLIP))
    app.get("/model", response_model=list[Clip])(lambda: (CLIP, CLIP))
    app.get("/embedding")(lambda: Embedding([0.5], model="m"))
    app.get("/embedding-model", response_model=Embedding)(lambda: Embedding([0.5], model="m"))
    app.get("/caption", response_model=Caption)(lambda: ANSWERS[2])
    return app


async def fetch(app: Any, path: str) -> Any:
    """The JSON with which an ASGI application answers a GET."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
    assert sent[0]["status"] == 200
    return json.loads(b"".join(message.get("body", b"") for message in sent))


async def test_fastapi_returns_answers_as_they_are():
    """Declared or not; a 500 after payment is a lost result."""
    app = answer_routes()

    assert await fetch(app, "/plain") == [CLIP.to_dict()] * 2
    assert await fetch(app, "/model") == [CLIP.to_dict()] * 2
    assert await fetch(app, "/embedding") == {"embedding": [0.5], "model": "m"}
    assert await fetch(app, "/embedding-model") == {"embedding": [0.5], "model": "m"}
    assert await fetch(app, "/caption") == ANSWERS[2].to_dict()


def test_the_openapi_schema_describes_answers():
    """With their fields, and their docstrings' first lines."""
    schemas = answer_routes().openapi()["components"]["schemas"]

    assert set(schemas["Clip"]["properties"]) == {one.name for one in fields(Clip)}
    assert schemas["Clip"]["required"] == ["start_time", "end_time", "score"]
    assert schemas["Clip"]["description"]
    assert set(schemas["Embedding"]["properties"]) == {"embedding", "model"}
    assert schemas["Tokens"]["required"] == ["input", "output", "total"]


def test_pydantic_reads_answers_back():
    """From instances, dictionaries and JSON; what does not fit is pydantic's own error."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(dict[str, Clip | Embedding])
    given = {"a": CLIP, "b": Embedding([1.0], model="m")}

    assert adapter.validate_python(given) == given
    assert adapter.validate_json(adapter.dump_json(given)) == given
    with pytest.raises(ValidationError):
        TypeAdapter(Clip).validate_python({"start_time": 1})


def test_django_and_flask_return_plain_data():
    """`JsonResponse` and `jsonify` take `to_dict`."""
    import django.conf
    import flask
    from django.http import JsonResponse

    if not django.conf.settings.configured:
        django.conf.settings.configure()
    app = flask.Flask("app")
    with app.app_context():
        assert flask.jsonify(CLIP.to_dict()).json == CLIP.to_dict()
    assert json.loads(JsonResponse(CLIP.to_dict()).content) == CLIP.to_dict()


def test_the_outcome_of_an_item_is_plain_data():
    """The call by its name, an error with its facts; what a batch writes for another program."""
    done = Outcome(key=("a", 1), call=search_call(), answer=(CLIP,), billed="yes")
    failed = Outcome(key="b", call=None, error=InsufficientCredits("no points"))

    assert json.loads(done.to_json()) == {
        "key": ["a", 1],
        "call": "clips.search",
        "answer": [CLIP.to_dict()],
        "error": None,
        "billed": "yes",
        "replayed": False,
        "upload": None,
    }
    assert failed.to_dict()["error"]["type"] == "InsufficientCredits"
    assert json.loads(Outcome(key=1, call=None, error=KeyError("x")).to_json())["error"] == "'x'"


def test_the_values_of_batch_and_ledger_are_plain_data():
    """Numbers and texts, for a dashboard."""
    assert json.loads(Progress(total=3, done=1).to_json())["done"] == 1
    assert json.loads(Summary(done=2, by_call={"x": {"done": 2}}).to_json())["by_call"] == {
        "x": {"done": 2}
    }
