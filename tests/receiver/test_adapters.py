"""The receiver in real frameworks on real servers, each in a process of its own.

This process submits and waits, the server's process receives; they share only the file.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from callbacks import SUBMISSION, TASK, FakeSend, success

from memories_async import Receiver
from memories_async.receiver._callback_service import MAX_BODY

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UVICORN = ("-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--fd", "{fd}")
GUNICORN = ("-m", "gunicorn", "--bind", "fd://{fd}", "--log-level", "error")
SERVERS = {
    "aiohttp": ("aiohttp", str(HERE / "apps.py"), "{fd}"),
    "fastapi on uvicorn": ("fastapi", *UVICORN, "apps:fastapi_app"),
    "starlette on uvicorn": ("starlette", *UVICORN, "apps:starlette_app"),
    "asgi on uvicorn": ("uvicorn", *UVICORN, "apps:asgi_app"),
    "flask on gunicorn": ("flask", *GUNICORN, "--workers", "2", "apps:flask_app"),
    "django on gunicorn": ("django", *GUNICORN, "--threads", "4", "apps:django_app"),
    "wsgi on gunicorn": ("gunicorn", *GUNICORN, "--preload", "apps:wsgi_app"),
}

LATIN = {"Content-Type": "application/json;charset=ISO-8859-1"}
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(params=SERVERS)
def server(request, path):
    """A running server; its socket listens before the server starts, so no test waits for it."""
    framework, *command = SERVERS[request.param]
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        os.set_inheritable(fd, True)
        environment = os.environ | {
            "CALLBACK_STORE": str(path),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]),
        }
        process = subprocess.Popen(
            [sys.executable, *(part.format(fd=fd) for part in command)],
            pass_fds=[fd],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}", request.param
    process.send_signal(signal.SIGTERM)
    process.wait(20)


async def test_a_framework_receives_and_another_process_is_woken(server, path) -> None:
    """Each kind of request gets its status, the waiter its caption, and the page still works."""
    address, name = server
    receiver = Receiver(f"{address}/hooks/memories", store=path)
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    wait = asyncio.create_task(receiver.wait(task, timeout=30))
    latin = json.dumps(success("Caf\u00e9."), ensure_ascii=False).encode("latin-1")

    # A server may close a connection whose body it did not read, so none is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        assert await _statuses(http, send.url) == {
            "wrong token": 404,
            "get": 405,
            "too long": 413,
            "other task": 404,
        }
        assert not wait.done()
        assert await _post(http, f"{send.url}/", _chunks(latin), **LATIN) == 200
        woken = time.monotonic()
        assert (await wait).text == "Caf\u00e9."
        assert time.monotonic() - woken < 5
        assert await _post(http, send.url, gzip.compress(latin), **LATIN, **GZIP) == 200
        assert await _post(http, send.url, latin, expect100=True, **LATIN) == 200
        assert await _post(http, send.url, latin, **LATIN, **{"X-Long": "x" * 7_000}) == 200
        assert await _post(http, send.url, json.dumps(success("Twice.")).encode()) == 200
        assert await _post(http, send.url, b"a=b", **{"Content-Type": "text/plain"}) == 200
        if "sgi" not in name:
            async with http.get(f"{address}/") as reply:
                assert (reply.status, await reply.text()) == (200, "home")
    assert len(await receiver.deliveries(TASK)) == 3
    receiver.close()


async def _statuses(http, url) -> dict[str, int]:
    body = json.dumps(success()).encode()
    async with http.get(url) as reply:
        get = reply.status
    return {
        "wrong token": await _post(http, url[:-3] + "abc", body),
        "get": get,
        "too long": await _post(http, url, b"x" * (MAX_BODY + 1)),
        "other task": await _post(http, url, json.dumps(success(task_id="other")).encode()),
    }


async def _post(http, url, body, *, expect100=False, **headers) -> int:
    async with http.post(url, data=body, headers=headers, expect100=expect100) as reply:
        assert await reply.read() == b""
        return reply.status


async def _chunks(body):
    """Send *body* in chunks, without a length."""
    for at in range(0, len(body), 20):
        yield body[at : at + 20]
