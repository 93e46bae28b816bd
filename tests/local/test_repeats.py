"""Two services with the same videos and the same seed say the same, to the byte, side by side."""

from __future__ import annotations

import contextlib

import pytest
import requests

from memories_async.local import LocalService

KEY = "local-the-same-in-both"


@pytest.fixture
def pair(films, engine):
    """Two of them, running in one process."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                LocalService([films], engine=engine, limits=None, seed=7, api_key=KEY)
            )
            for _ in range(2)
        ]


def answers(service):
    """What it says to a search, an embedding, a caption, and by callback."""
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


def test_the_same_questions_get_the_same_bytes(pair):
    """Ids of tasks among them."""
    first, second = map(answers, pair)

    assert first == second
    assert first[3][0]["status"] == 0


def test_the_dice_of_faults_fall_alike(pair):
    """A fault by chance strikes the same requests in each run, and again after a reset."""

    def struck(service):
        service.faults.add(kind="status", chance=0.5, times=None)
        return [service.faults.take("x.y")[0] is not None for _ in range(20)]

    first, second = map(struck, pair)
    pair[0].reset()

    assert first == second == struck(pair[0])
    assert True in first
    assert False in first


def test_services_side_by_side_know_nothing_of_each_other(pair):
    """Their state is in the objects."""
    answers(pair[0])

    assert [service.account.calls for service in pair] == [3, 0]
    assert pair[0].url != pair[1].url
    assert not pair[1].inbox.received
