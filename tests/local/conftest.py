"""A running service, helpers that send requests to it, and an engine that needs no video decoder."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import frozen
from uploading import FILM, V1, form_of

from memories_async.local import Callbacks, LocalService, PageLimits
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Facts,
    Match,
    SearchResult,
    Shot,
    UnreadableImage,
    UnreadableVideo,
)


@frozen(kw_only=True)
class ByteIndex:
    """What `ByteEngine` knows of a file."""

    facts: Facts
    content: bytes


class ByteEngine:
    """Treats a file `seconds:anything` as a video, so that tests need no pictures."""

    name = "bytes/1"

    def __init__(self):
        self.indexed: list[Path] = []

    def index(self, path):
        self.indexed.append(path)
        head, colon, content = path.read_bytes().partition(b":")
        if not colon:
            raise UnreadableVideo("The file holds no pictures.")
        duration = float(head)
        shots = (Shot(start_time=0.0, end_time=duration),)
        facts = Facts(duration=duration, width=64, height=48, fps=25.0, frames=9, shots=shots)
        return ByteIndex(facts=facts, content=content)

    def search(self, index, image, prompt):
        if image == b"broken":
            raise UnreadableImage("The picture cannot be decoded.")
        at = index.content.find(image)
        clips = () if at < 0 else (Match(start_time=float(at), end_time=at + 1.5, score=0.87654),)
        return SearchResult(
            clips=clips, ignored=tuple(word for word in prompt.split() if "é" in word)
        )

    def embed(self, index, dimensions):
        seed = hashlib.sha256(index.content).digest()
        return tuple(1.0 if n == seed[0] % dimensions else 0.0 for n in range(dimensions))

    def caption(self, index, request: CaptionRequest):
        people = ", ".join(f"{one.name} {len(one.image or b'')}" for one in request.persons)
        text = f"{index.facts.duration:g} seconds. {request.user_prompt} [{people}]"
        return CaptionText(
            text=text, input_tokens=len(request.user_prompt), output_tokens=len(text)
        )


@pytest.fixture
def films(tmp_path) -> Path:
    """A folder with two videos of 30 seconds that `ByteEngine` can read."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "street.mp4").write_bytes(b"30:red car, blue car")
    (folder / "garden.mp4").write_bytes(b"30:a tree and a bench")
    return folder


@pytest.fixture
def engine() -> ByteEngine:
    """The engine of the service under test."""
    return ByteEngine()


@pytest.fixture
def page_limits() -> PageLimits:
    """The limits of the service under test: images of 1,000 bytes, videos of 2,000."""
    return PageLimits(image_size=1000, video_size=2000, upload_size=2000, url_size=2000)


@pytest_asyncio.fixture
async def service(films, engine, page_limits) -> AsyncIterator[LocalService]:
    """A running service without rate limits."""
    callbacks = Callbacks(pause=0.001)
    async with LocalService(
        [films], engine=engine, limits=None, page_limits=page_limits, callbacks=callbacks
    ) as service:
        yield service


@pytest_asyncio.fixture
async def http(service) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session with the service's address and key."""
    headers = {"Authorization": service.api_key}
    async with aiohttp.ClientSession(service.url, headers=headers) as session:
        yield session


@frozen(kw_only=True)
class ReceivedReply:
    """A reply as the client received it."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body, parsed."""
        return json.loads(self.body)


@pytest.fixture
def send(http):
    """Send a request to the service, and return the whole reply."""

    async def send(path, *, data=None, document=None, method="POST", headers=None):
        async with http.request(
            method, path, data=data, json=document, headers=headers, allow_redirects=False
        ) as reply:
            return ReceivedReply(
                status=reply.status, headers=dict(reply.headers), body=await reply.read()
            )

    return send


@pytest.fixture
def search(send, service):
    """Search street.mp4 for an image; None leaves a field out."""

    async def search(
        image=b"blue", *, name="q.png", kind="image/png", prompt="red", video_no="", headers=None
    ):
        form = aiohttp.FormData(default_to_multipart=True)
        if image is not None:
            form.add_field("file", image, filename=name, content_type=kind)
        street = next(one for one in service.library if one.path.name == "street.mp4")
        fields = {"prompt": prompt, "video_no": video_no or street.video_no}
        for field, value in fields.items():
            if value is not None:
                form.add_field(field, value)
        return await send("/serve/api/v1/search_clips_by_image", data=form, headers=headers)

    return search


@pytest.fixture
def embed(send, service):
    """Embed the library's first video."""

    async def embed(headers=None, **fields):
        document = {
            "asset_id": service.library[0].asset_id,
            "model": "multimodalembedding@001",
            **fields,
        }
        return await send("/serve/api/v2/embeddings/video", document=document, headers=headers)

    return embed


class CallbackReceiver:
    """Receives callbacks, and answers with the statuses in `answers`."""

    def __init__(self):
        self.bodies = []
        self.answers = []

    async def take(self, request):
        self.bodies.append(await request.json())
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@pytest_asyncio.fixture
async def receiver():
    """A running receiver on loopback."""
    receiver, app = CallbackReceiver(), web.Application()
    app.router.add_post("/callback", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/callback"))
        yield receiver


@pytest.fixture
def caption(send, receiver):
    """Submit a caption by URL."""

    async def caption(headers=None, **fields):
        document = {
            "video_url": "https://example.com/street.mp4",
            "user_prompt": "Tell all.",
            "system_prompt": "You see.",
            "callback": receiver.url,
            **fields,
        }
        given = {name: value for name, value in document.items() if value is not None}
        return await send("/v1/understand/upload", document=given, headers=headers)

    return caption


@pytest.fixture
def caption_file(send, receiver):
    """Submit a caption by file: parts `req` and `files`."""

    async def caption_file(*files, headers=None, req=None, **fields):
        document = {
            "user_prompt": "Tell all.",
            "system_prompt": "You see.",
            "callback": receiver.url,
            **fields,
        }
        form = aiohttp.FormData(default_to_multipart=True)
        text = json.dumps(document) if req is None else req
        if text:
            form.add_field("req", text, filename="req.json", content_type="application/json")
        for name, content in files:
            form.add_field("files", content, filename=name)
        return await send("/v1/understand/uploadFile", data=form, headers=headers)

    return caption_file


@pytest.fixture
def until():
    """Wait until a condition holds, which it does within milliseconds."""

    async def until(holds):
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  # the service tells nobody
                await asyncio.sleep(0.001)

    return until


@pytest.fixture
def upload(send):
    """Upload a film; None leaves the file out."""

    async def upload(content=FILM, *, path=f"{V1}/upload", headers=None, **options):
        return await send(path, data=form_of(content, **options), headers=headers)

    return upload


@pytest.fixture
def fetch_metadata(send):
    """Fetch a video's metadata."""

    async def fetch_metadata(video_no, unique_id="default"):
        path = f"{V1}/get_metadata?video_no={video_no}&unique_id={unique_id}"
        return (await send(path, method="GET")).json["data"]

    return fetch_metadata


@pytest.fixture
def list_videos(send):
    """List the video library."""

    async def list_videos(**fields):
        return (await send(f"{V1}/list_videos", document=fields)).json["data"]

    return list_videos
