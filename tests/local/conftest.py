"""A service under test, and an engine that computes its answers from bytes alone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from attrs import frozen

from memories_async.local import LocalService
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Facts,
    Found,
    Match,
    Shot,
    UnreadableImage,
    UnreadableVideo,
)


@frozen(kw_only=True)
class ByteIndex:
    """What the byte engine knows of a file."""

    facts: Facts
    content: bytes


class ByteEngine:
    """Takes a file `seconds:anything` for a video, so that tests need no pictures."""

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
        return Found(clips=clips, ignored=tuple(word for word in prompt.split() if "é" in word))

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
    """A folder with two videos of 30 seconds that the byte engine can read."""
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "street.mp4").write_bytes(b"30:red car, blue car")
    (folder / "garden.mp4").write_bytes(b"30:a tree and a bench")
    return folder


@pytest.fixture
def engine() -> ByteEngine:
    """The engine of the service under test."""
    return ByteEngine()


@pytest_asyncio.fixture
async def service(films, engine) -> AsyncIterator[LocalService]:
    """A running service without rate limits."""
    async with LocalService([films], engine=engine, limits=None) as service:
        yield service


@pytest_asyncio.fixture
async def http(service) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client that knows the service's address and key."""
    headers = {"Authorization": service.api_key}
    async with aiohttp.ClientSession(service.url, headers=headers) as session:
        yield session
