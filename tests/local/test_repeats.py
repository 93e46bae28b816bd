"""Two services with the same videos and the same seed give the same collect_answers, to the byte."""

from __future__ import annotations

import contextlib

import pytest
import requests

from memories_async.local import LocalService

KEY = "local-the-same-in-both"


@pytest.fixture
def pair(films, engine):
    """Two services in one process."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                LocalService([films], engine=engine, limits=None, seed=7, api_key=KEY)
            )
            for _ in range(2)
        ]


def collect_answers(service):
    """The replies to a search, an embedding and a caption, and the callback."""
    video = service.library[0]

    def post(path, **body):
        headers = {"Authorization": KEY}
        reply = requests.post(f"{service.url}{path}", headers=headers, timeout=10, **body)
        return {**reply.headers, "Date": ""}, reply.content

    asked = {"video_url": f"https://x.example/{video.path.name}", "callback": service.inbox.url}
    prompts = {"user_prompt": "What?", "system_prompt": "Tell."}
    told = [
        post(
            "/serve/api/v1/search_clips_by_image",
            files={"file": ("q.png", b"a tree", "image/png")},
            data={"prompt": "café", "video_no": video.video_no},
        ),
        post(
            "/serve/api/v2/embeddings/video",
            json={"asset_id": video.asset_id, "model": "multimodalembedding@001"},
        ),
        post("/v1/understand/upload", json={**asked, **prompts}),
    ]
    service.run(service.drain)
    return [*told, service.inbox.received]


def test_same_requests_get_the_same_bytes(pair):
    """Task ids included."""
    first, second = map(collect_answers, pair)

    assert first == second
    assert first[3][0]["status"] == 0


def test_chances_of_faults_repeat_with_the_same_seed(pair):
    """In each service, and after a reset."""

    def struck(service):
        service.faults.add(kind="status", chance=0.5, times=None)
        return [service.faults.take("x.y")[0] is not None for _ in range(20)]

    first, second = map(struck, pair)
    pair[0].reset()

    assert first == second == struck(pair[0])
    assert True in first
    assert False in first


def test_services_share_no_state(pair):
    """It is in the objects."""
    collect_answers(pair[0])

    assert [service.account.calls for service in pair] == [3, 0]
    assert pair[0].url != pair[1].url
    assert not pair[1].inbox.received
