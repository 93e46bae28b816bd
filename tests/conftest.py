"""What every test shares: no settings from outside, helpers on the path, a shim for aioresponses."""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from unittest.mock import Mock

import aiohttp
import aioresponses.core
import hypothesis
import pytest
import pytest_asyncio
from aiohttp.client_proto import ResponseHandler

from memories_async import blocking

# A shell's background job ignores Ctrl-C, and so would the processes that the tests send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "quiet",
    database=None,
    deadline=None,
    max_examples=100,
    # The fixtures that apply to every test hold no state that an example could change.
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "few", parent=hypothesis.settings.get_profile("quiet"), max_examples=20
)
hypothesis.settings.load_profile("quiet")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: what a compressor wrote may hold the time, and workers compare names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


class _Response(aiohttp.ClientResponse):
    """aioresponses 0.7.9 builds replies by hand, without what aiohttp 3.14 needs."""

    def __init__(self, *args, **kwargs):
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


def _reader(loop=None):
    return aiohttp.StreamReader(ResponseHandler(loop=loop), limit=2**30, loop=loop)


aioresponses.core.ClientResponse = _Response
aioresponses.core.stream_reader_factory = _reader


@pytest_asyncio.fixture(params=["awaited", "blocking"])
async def connect(request):
    """A function that makes a client of either kind for a URL; all are closed at the end."""
    from callers import Caller, client, settings

    callers = []

    def make(url, **changes):
        kind = client if request.param == "awaited" else blocking_client
        callers.append(Caller(kind(url, **changes)))
        return callers[-1]

    def blocking_client(url, **changes):
        return blocking.Client(**settings(url, **changes))

    yield make
    for caller in callers:
        await caller.aclose()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch, tmp_path_factory) -> None:
    """Keep keys, hosts and limiters of whoever runs the tests out of them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    # The default limiter is a file there, which tests do not share.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    for name in [*os.environ]:
        is_setting = name.startswith("MEMORIES_") and not name.startswith("MEMORIES_TEST_")
        if is_setting or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _level_of_the_log():
    """A command that a test runs in this process may set it, and a logged call takes another path."""
    logger = logging.getLogger("memories_async")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this run's own."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    from postgres import PostgresServer, find_binaries

    if find_binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = PostgresServer()
    yield server
    from memories_async.ledger import _lease

    _lease.leases.call(_lease.OwnerLease.release)  # of ledgers that tests left open
    server.remove()


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
