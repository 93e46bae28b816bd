"""A Redis server of the tests' own, if there is one to start, and the embedded service."""

from __future__ import annotations

from pathlib import Path

import pytest
from stores import Memory, MemoryLimiter


@pytest.fixture
def redis_url(redis_server) -> str:
    """The server, emptied."""
    from redis import Redis

    with Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def film(tmp_path) -> Path:
    """A file that an engine which computes nothing takes for a video."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film")
    return path


@pytest.fixture
def store():
    return Memory()


@pytest.fixture
def limiter(store):
    return MemoryLimiter(store)
