"""The documentation's samples run unchanged but for URL, key and paths."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from memories_async.local import LocalService


@pytest.fixture
def serving(films, engine, tmp_path, monkeypatch):
    """A service for blocking code, and the files that the samples name."""
    (films / "street.mp4").rename(films / "a.mp4")
    for name, content in [
        ("query.png", b"blue"),
        ("video.mp4", b"30:x"),
        ("alice.png", b"1"),
        ("bob.png", b"22"),
    ]:
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with LocalService([films], engine=engine, limits=None) as service:
        yield service


def test_python_sample_of_search_clips_by_image_runs(serving):
    """With requests."""
    payload = {
        "video_no": "VI625239098370850816",
        "prompt": "focus on the red shirt, ignore background color",
        "unique_id": "default",
    }
    with Path("query.png").open("rb") as picture:
        files = [("file", ("query.png", picture, "image/png"))]
        response = requests.post(
            f"{serving.url}/serve/api/v1/search_clips_by_image",
            headers={"Authorization": serving.api_key},
            data=payload,
            files=files,
        )

    assert response.json()["data"] == [{"start_time": 9.0, "end_time": 10.5, "score": 0.8765}]


def test_python_sample_of_video_caption_by_url_runs(serving):
    """Its URLs are out of reach, and the log says so."""
    json_body = {
        "video_url": "https://example.com/test_video.mp4",
        "user_prompt": "Summarize the video content and identify key persons",
        "system_prompt": "You are a video understanding system that analyzes content.",
        "callback": "https://yourserver.com/callback",
        "persons": [
            {"name": "Alice", "url": "https://example.com/alice.jpg"},
            {"name": "Bob", "url": "https://example.com/bob.jpg"},
        ],
        "thinking": False,
    }
    response = requests.post(
        f"{serving.url}/v1/understand/upload",
        headers={"Authorization": serving.api_key},
        json=json_body,
    )

    assert (response.json()["code"], response.json()["msg"]) == (0, "success")
    assert set(response.json()["data"]) == {"task_id"}


def test_python_sample_of_video_caption_by_file_runs(serving):
    """`req` first, then the video and two pictures."""
    data = {
        "user_prompt": "Summarize the video content and identify key persons",
        "system_prompt": "You are a video understanding system that summarizes video content.",
        "callback": "https://yourserver.com/callback",
        "persons": [{"name": "Alice"}, {"name": "Bob"}],
    }
    with ExitStack() as opened:
        film, alice, bob = (
            opened.enter_context(Path(name).open("rb"))
            for name in ("video.mp4", "alice.png", "bob.png")
        )
        files = [
            ("req", ("req.json", json.dumps(data), "application/json")),
            ("files", ("video.mp4", film, "video/mp4")),
            ("files", ("alice.png", alice, "image/png")),
            ("files", ("bob.png", bob, "image/png")),
        ]
        response = requests.post(
            f"{serving.url}/v1/understand/uploadFile",
            files=files,
            headers={"Authorization": serving.api_key},
        )

    assert response.json()["code"] == 0
    serving.run(serving.drain)
    assert "[Alice 1, Bob 2]" in serving.outbox.deliveries[0].body["data"]["text"]


curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def run(*words):
    done = subprocess.run(["curl", "--silent", *words], capture_output=True, timeout=20, check=True)
    return json.loads(done.stdout)


@curl
def test_curl_sample_of_search_clips_by_image_runs(serving):
    """Its content type has no boundary."""
    reply = run(
        "--request", "POST",
        "--url", f"{serving.url}/serve/api/v1/search_clips_by_image",
        "--header", f"Authorization: {serving.api_key}",
        "--header", "Content-Type: multipart/form-data",
        "--form", "file=@query.png",
        "--form", "video_no=VI625239098370850816",
        "--form", "prompt=focus on the red shirt, ignore background color",
        "--form", "unique_id=default",
    )  # fmt: skip

    assert (reply["code"], len(reply["data"])) == ("0000", 1)


@curl
def test_curl_sample_of_video_embedding_runs(serving):
    """Its JSON has line breaks."""
    reply = run(
        "--request", "POST",
        "--url", f"{serving.url}/serve/api/v2/embeddings/video",
        "--header", f"Authorization: {serving.api_key}",
        "--header", "Content-Type: application/json",
        "--data",
        '\n{\n  "asset_id": "re_657745568997527552",\n  "model": "multimodalembedding@001"\n}\n',
    )  # fmt: skip

    assert (reply["code"], len(reply["data"]["embedding"])) == ("0000", 1024)
