"""A Redis server of the tests' own, if there is one to start, and the embedded service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[str]:
    """The URL of a real server on a free loopback port."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("needs redis-server or valkey-server: apt-get install redis-server")
    pytest.importorskip("redis", reason="needs the extra memories_async[redis]")
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    folder = tmp_path_factory.mktemp("redis")
    with subprocess.Popen([binary, *options], cwd=folder, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


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
