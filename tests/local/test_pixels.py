"""The service with its own engine: answers computed from a rendered film."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest

from memories_async.local import LocalService

cv2 = pytest.importorskip("cv2", reason="needs the extra `local`")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 21 seconds in three scenes, and where its shots are."""
    from memories_async.local.engine.video.render import render

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    shots = render(path, seconds=21, scenes=3, size=(320, 180))
    return path, shots


def get_frame(path, seconds):
    """A still picture of the film, as PNG."""
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_MSEC, seconds * 1000)
    _, picture = capture.read()
    capture.release()
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One index for all tests of this module."""
    return tmp_path_factory.mktemp("cache")


async def test_service_searches_embeds_and_captions_a_rendered_film(film, cache, receiver):
    """Through the client that talks to the real service."""
    path, shots = film
    middle = (shots[1].start_time + shots[1].end_time) / 2
    async with (
        LocalService([path], cache=cache, limits=None) as service,
        service.client() as client,
    ):
        video = service.library[0]
        clips = await client.clips.search(
            get_frame(path, middle), prompt="the same place, darkly", video_no=video.video_no
        )
        embedding = await client.embeddings.video(video.asset_id)
        task = await client.captions.upload_file(
            path, user_prompt="Tell all.", system_prompt="You see.", callback=receiver.url
        )
        await service.drain()

    assert clips[0].start_time <= middle <= clips[0].end_time
    assert clips[0].score > 0.5
    assert math.isclose(sum(number**2 for number in embedding.values), 1, abs_tol=1e-6)
    assert receiver.bodies[0]["task_id"] == task.task_id
    assert re.search(r"\b21(\.\d+)? s", receiver.bodies[0]["data"]["text"])
    assert service.account.paid == 3


async def test_headers_name_the_engine_and_the_words_it_ignored(film, cache):
    """In each reply."""
    async with (
        LocalService([film[0]], cache=cache, limits=None) as pixels,
        pixels.client() as client,
    ):
        video_no = pixels.library[0].video_no
        await client.clips.search(get_frame(film[0], 1), prompt="xylophone", video_no=video_no)

    assert pixels.engine.name.startswith("pixels/")
    assert pixels.request_log[0].ignored == ("xylophone",)


async def test_short_or_damaged_film_fails_by_callback(tmp_path, cache, receiver):
    """Five seconds are too few."""
    from memories_async.local.engine.video.render import render

    render(tmp_path / "short.mp4", seconds=5, scenes=1, size=(160, 90))
    (tmp_path / "noise.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 40)
    async with LocalService(cache=cache, limits=None) as service, service.client() as client:
        for name in ("short.mp4", "noise.mp4"):
            await client.captions.upload_file(
                tmp_path / name, user_prompt="u", system_prompt="s", callback=receiver.url
            )
        await service.drain()

    assert [body["status"] for body in receiver.bodies] == [-1, -1]
    told = " ".join(body["msg"] for body in receiver.bodies)
    assert "lasts 5.0 seconds; it must be between 20 and 300" in told
    assert service.account.points_spent == 0


FLOWER = Path(
    os.environ.get("MEMORIES_TEST_VIDEOS", Path(__file__).parents[3] / "shared" / "videos"),
    "flower.mp4",
)


@pytest.mark.skipif(not FLOWER.exists(), reason=f"needs {FLOWER.name} in MEMORIES_TEST_VIDEOS")
async def test_real_clip_under_the_limit_fails_by_callback(cache, receiver):
    """flower.mp4 lasts five seconds."""
    async with LocalService(cache=cache, limits=None) as service, service.client() as client:
        await client.captions.upload_file(
            FLOWER, user_prompt="u", system_prompt="s", callback=receiver.url
        )
        await service.drain()

    assert receiver.bodies[0]["status"] == -1
    assert "must be between 20 and 300" in receiver.bodies[0]["msg"]
