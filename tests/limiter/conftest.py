"""A Redis server of the tests' own, if there is one to start, and the embedded service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from stores import Memory, MemoryLimiter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def redis_url(redis_server) -> str:
    """The server, emptied."""
    from redis import Redis

    with Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def film() -> Path:
    """The shortest clip there is."""
    folder = Path(os.environ.get("MEMORIES_TEST_VIDEOS", ROOT.parent / "shared" / "videos"))
    clip = folder / "bottle-detection.mp4"
    if not clip.is_file():
        pytest.skip("needs the test videos: set MEMORIES_TEST_VIDEOS")
    return clip


@pytest.fixture
def store():
    return Memory()


@pytest.fixture
def limiter(store):
    return MemoryLimiter(store)
