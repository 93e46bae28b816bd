"""The command under test: run in this process, or as a program, against a running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner

from memories_async.local import Callbacks, LocalService
from memories_async.local.engine.fixed import FixedEngine


def _png() -> bytes:
    """A picture of one pixel."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    pixel = chunk(b"IDAT", zlib.compress(b"\x00\x00\x00\x00"))
    head = chunk(b"IHDR", bytes.fromhex("00000001000000010802000000"))
    return b"\x89PNG\r\n\x1a\n" + head + pixel + chunk(b"IEND", b"")


@frozen
class Ended:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one document on stdout."""
        return json.loads(self.out)


_FOREIGN = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"} | {
    *("no_color", "force_color", "columns"),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An environment without settings, and folders of the test's own for caches and state."""
    for name in list(os.environ):
        if name.startswith("MEMORIES_"):
            monkeypatch.delenv(name)
        if name.lower() in _FOREIGN:
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEMORIES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def cli():
    """Run the command in this process."""

    def run(*words) -> Ended:
        from memories_async.cli._program import program

        done = CliRunner().invoke(
            program, [str(word) for word in words], prog_name="memories-async"
        )
        return Ended(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def start():
    """Start the command as a program of its own; every one is ended with the test."""
    started = []

    def start(*words, **env):
        command = [sys.executable, "-m", "memories_async", *map(str, words)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **env}
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def picture(tmp_path) -> Path:
    """A query image."""
    path = tmp_path / "query.png"
    path.write_bytes(_png())
    return path


@pytest.fixture
def film(tmp_path) -> Path:
    """A file that the fixed engine takes for a video of a minute."""
    path = tmp_path / "holiday.mp4"
    path.write_bytes(b"a film of a minute")
    return path


@pytest.fixture
def engine():
    """The engine of the service."""
    return FixedEngine()


@pytest.fixture
def service(film, engine, monkeypatch):
    """A running service that the environment names."""
    with LocalService([film], engine=engine, dimensions=8, limits=None) as service:
        monkeypatch.setenv("MEMORIES_API_KEY", service.api_key)
        for name in ("V1", "V2", "CAPTION"):
            monkeypatch.setenv(f"MEMORIES_{name}_BASE_URL", service.url)
        yield service


@pytest.fixture
def calling_back(film, engine, monkeypatch):
    """A service whose callbacks are tried again for some seconds."""
    settings = Callbacks(attempts=8, pause=0.05)
    with LocalService([film], engine=engine, limits=None, callbacks=settings) as service:
        monkeypatch.setenv("MEMORIES_API_KEY", service.api_key)
        monkeypatch.setenv("MEMORIES_CAPTION_BASE_URL", service.url)
        monkeypatch.setenv("MEMORIES_CAPTIONS_RATE", "100000")
        yield service


@pytest.fixture
def video(service):
    """The only video of the service."""
    return service.library[0]
