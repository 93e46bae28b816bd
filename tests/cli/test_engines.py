"""--engine: what answers in place of memories.ai, with its settings."""

from __future__ import annotations

import sys

import click
import pytest

from memories_async.cli._local import EngineOptions
from memories_async.local.engine.fixed import FixedEngine

MODEL = (
    b'\x08\x08:X\n\x19\n\x01p\x12\x01v"\x11GlobalAveragePool\x12\x01gZ\x1b\n\x01p\x12\x16\n\x14'
    b"\x08\x01\x12\x10\n\x02\x08\x01\n\x02\x08\x03\n\x02\x08\x20\n\x02\x08\x20b\x1b\n\x01v\x12\x16"
    b"\n\x14\x08\x01\x12\x10\n\x02\x08\x01\n\x02\x08\x03\n\x02\x08\x01\n\x02\x08\x01B\x04\n\x00"
    b"\x10\r"
)
"""An ONNX file: the mean of each colour of a picture of 32 x 32."""
ANY_SIZE = MODEL.replace(b"\n\x02\x08\x20\n\x02\x08\x20", b"\n\x02\x12\x00\n\x02\x12\x00")
NAME = """
import os, urllib.request
url = os.environ["MEMORIES_V1_BASE_URL"] + "/_local/state"
print(urllib.request.urlopen(url).read().decode(), sorted(os.environ))
"""


@pytest.fixture
def base_engine(monkeypatch) -> None:
    """Look into no pixels."""
    monkeypatch.setattr("memories_async.cli._local.pixel_engine", lambda **_: FixedEngine())


def test_fixed_answers_need_no_opencv(cli, capfd, monkeypatch):
    """For a quick look, and where it is not installed."""
    monkeypatch.setitem(sys.modules, "memories_async.local.engine.pixels", None)

    ended = cli("exec", "--engine", "fixed", "--", sys.executable, "-c", NAME)

    assert ended.code == 0
    assert '"fixed/1"' in capfd.readouterr().out


def test_a_vision_models_key_comes_from_the_environment(base_engine, monkeypatch):
    """And is not shown."""
    monkeypatch.setenv("MEMORIES_ENGINE_API_KEY", "local-secret")
    options = EngineOptions(kind="openai", url="http://127.0.0.1:1/v1/", model="llava")

    engine = options.build()

    assert engine.name == "fixed/1+llava"
    assert engine.base_url == "http://127.0.0.1:1/v1/"
    assert engine.key.reveal() == "local-secret"
    assert "local-secret" not in repr((options, engine))


def test_the_key_is_kept_from_the_command(cli, base_engine, capfd, monkeypatch):
    """It is the service's."""
    monkeypatch.setenv("MEMORIES_ENGINE_API_KEY", "local-secret")
    words = ("--engine", "openai", "--engine-url", "http://127.0.0.1:1", "--engine-model", "llava")

    cli("exec", *words, "--", sys.executable, "-c", NAME)
    told = capfd.readouterr().out

    assert "fixed/1+llava" in told
    assert "ENGINE_API_KEY" not in told


def test_a_vision_model_without_a_key_gets_requests_without_one(base_engine):
    """As on one's own machine."""
    options = EngineOptions(kind="openai", url="http://127.0.0.1:1", model="llava")

    assert options.build().key is None


@pytest.mark.parametrize(("model", "side"), [(MODEL, 32), (ANY_SIZE, 224)])
def test_an_onnx_model_says_how_large_its_pictures_are(base_engine, tmp_path, model, side):
    """CLIP's usual size where it takes any."""
    pytest.importorskip("onnxruntime")
    path = tmp_path / "colours.onnx"
    path.write_bytes(model)

    engine = EngineOptions(kind="onnx", model=str(path)).build()

    assert engine.name == "fixed/1+colours"
    assert engine.image.side == side


def test_a_file_that_is_no_model_is_reported(cli, base_engine, tmp_path, film):
    """By its name."""
    pytest.importorskip("onnxruntime")
    words = ("serve", "--videos", film, "--port", 0, "--engine", "onnx", "--engine-model")

    assert f"{film.name} is no ONNX model" in cli(*words, film).err
    assert "--engine-model: no such file: " in cli(*words, tmp_path / "no.onnx").err


def test_without_the_runtime_it_says_what_to_install(cli, base_engine, film, monkeypatch):
    """It is large, and in no other extra."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    words = ("--engine", "onnx", "--engine-model", film)

    ended = cli("serve", "--videos", film, "--port", 0, *words)

    assert ended.code == 2
    assert "needs onnxruntime: pip install 'memories_async[onnx]'" in ended.err


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "openai", "model": "m"}, "--engine openai needs --engine-url"),
        ({"kind": "openai", "url": "http://a"}, "--engine openai needs --engine-model"),
        ({"kind": "onnx"}, "--engine onnx needs --engine-model"),
        ({"kind": "pixels", "model": "m"}, "--engine pixels takes no --engine-model"),
        ({"kind": "onnx", "model": "m", "url": "u"}, "--engine onnx takes no --engine-url"),
    ],
)
def test_a_setting_is_needed_or_refused(settings, told):
    """Nothing is passed over in silence."""
    with pytest.raises(click.UsageError, match=told):
        EngineOptions(**settings)


def test_a_key_over_plain_http_is_refused(cli, base_engine, film, monkeypatch):
    """It is not the command line that allows it."""
    monkeypatch.setenv("MEMORIES_ENGINE_API_KEY", "local-secret")
    words = ("--engine", "openai", "--engine-url", "http://models.example", "--engine-model", "m")

    ended = cli("serve", "--videos", film, "--port", 0, *words)

    assert ended.code == 2
    assert "would send the API key in the clear: use https" in ended.err
    assert "local-secret" not in ended.err


def test_a_wrong_address_is_reported(cli, base_engine, film):
    """Before the service starts."""
    words = ("--engine", "openai", "--engine-url", "host/v1", "--engine-model", "llava")

    ended = cli("serve", "--videos", film, "--port", 0, *words)

    assert ended.code == 2
    assert "base_url must be a full http or https URL" in ended.err


def test_faces_and_time_limit_are_those_of_the_pixel_engine(monkeypatch):
    """Other engines see no faces. Indexing is given up after an hour unless another limit is given."""
    asked = []
    monkeypatch.setattr(
        "memories_async.cli._local.pixel_engine", lambda **ways: asked.append(ways) or FixedEngine()
    )

    EngineOptions(faces=True, time_limit=7200.0).build()
    EngineOptions().build()

    assert asked == [
        {"time_limit": 7200.0, "faces": True},
        {"time_limit": 3600.0, "faces": False},
    ]
    with pytest.raises(click.UsageError, match="--engine fixed takes no --faces"):
        EngineOptions(kind="fixed", faces=True)
