"""ASGI, WSGI and aiohttp without a server: the corners that no polite server reaches."""

from __future__ import annotations

import asyncio
import io
import json
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer
from callbacks import SUBMISSION, TASK, FakeSend, success

from memories_async.receiver import _server

BODY = json.dumps(success()).encode()


@pytest.fixture
def callback(receiver) -> str:
    """The path of a submission's callback."""
    send = FakeSend()
    asyncio.run(receiver.submit(SUBMISSION, send))
    return urlsplit(send.url).path


def asgi(receiver, scope, *messages) -> list[dict]:
    """Run the ASGI application on *messages* and return what it sends."""
    sent = []

    async def run():
        left = iter(messages)

        async def receive():
            return next(left)

        async def send(message):
            sent.append(message)

        await receiver.asgi(scope, receive, send)

    asyncio.run(run())
    return sent


def scope(path, **headers) -> dict:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": path, "headers": pairs}


def test_asgi_takes_a_body_in_pieces(receiver, callback) -> None:
    """And answers without a body."""
    pieces = [{"type": "http.request", "body": BODY[:9], "more_body": True}]
    pieces += [{"type": "http.request", "more_body": True}]
    pieces += [{"type": "http.request", "body": BODY[9:]}]

    start, body = asgi(receiver, scope(callback), *pieces)

    assert (start["status"], start["headers"]) == (200, [(b"content-length", b"0")])
    assert body["body"] == b""
    assert len(asyncio.run(receiver.deliveries(TASK))) == 1


def test_asgi_says_which_method_is_allowed(receiver, callback) -> None:
    """A header of the answer goes out with it."""
    start, _ = asgi(receiver, scope(callback) | {"method": "GET"})

    assert start["status"] == 405
    assert (b"allow", b"POST") in start["headers"]


def test_asgi_forgets_who_hangs_up(receiver, callback) -> None:
    """Half a body is no delivery, and nobody is there to be answered."""
    piece = {"type": "http.request", "body": BODY[:9], "more_body": True}

    assert asgi(receiver, scope(callback), piece, {"type": "http.disconnect"}) == []
    assert asyncio.run(receiver.deliveries(TASK)) == ()


def test_asgi_lives_with_its_server_and_closes_websockets(receiver) -> None:
    """It can be a server's only application."""
    sent = asgi(
        receiver,
        {"type": "lifespan"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    )
    closed = asgi(receiver, {"type": "websocket"})

    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert closed == [{"type": "websocket.close", "code": 1000}]


def wsgi(receiver, path, body=BODY, **environ) -> str:
    """Run the WSGI application and return the status line."""
    said = []
    variables = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
    answer = receiver.wsgi(
        variables | {"CONTENT_LENGTH": str(len(body))} | environ,
        lambda status, headers: said.append((status, headers)),
    )

    assert list(answer) == []
    ((status, headers),) = said
    assert ("Content-Length", "0") in headers
    return status


def test_wsgi_takes_a_body(receiver, callback) -> None:
    """With its length, or of unknown length where the server marks its end."""
    unknown = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}

    assert wsgi(receiver, callback) == "200 OK"
    assert wsgi(receiver, callback, **unknown) == "200 OK"
    assert wsgi(receiver, callback, b"x" * 300_000, **unknown).startswith("413")


def test_wsgi_reads_no_body_without_an_end(receiver, callback) -> None:
    """A read that could last for ever is not begun; a refusal reads nothing at all."""
    assert wsgi(receiver, callback, CONTENT_LENGTH="") == "400 Bad Request"
    assert wsgi(receiver, callback, CONTENT_LENGTH="999999").startswith("413")
    assert wsgi(receiver, "/cb/wrong") == "404 Not Found"
    assert wsgi(receiver, callback, REQUEST_METHOD="GET") == "405 Method Not Allowed"
    assert wsgi(receiver, callback, HTTP_CONTENT_ENCODING="gzip").startswith("415")


async def test_aiohttp_mounts_it_below_any_path(receiver) -> None:
    """A sub-application takes deliveries; who breaks off is answered 400, if at all."""
    from aiohttp import web

    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    token = urlsplit(send.url).path.rpartition("/")[2]
    app = web.Application()
    app.add_subapp("/deep/below", receiver.aiohttp_app())
    async with TestClient(TestServer(app)) as http:
        async with http.post(f"/deep/below/{token}", data=BODY) as reply:
            assert reply.status == 200
        _, writer = await asyncio.open_connection("127.0.0.1", http.port)
        head = f"POST /deep/below/{token} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{"
        writer.write(head.encode())
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()
        await asyncio.sleep(0.02)

    assert len(await receiver.deliveries(TASK)) == 1


class _Inner(asyncio.Protocol):
    """Notes what reaches it."""

    def __init__(self):
        self.heard = []

    def data_received(self, data):
        self.heard.append("data")

    def eof_received(self):
        self.heard.append("eof")

    def pause_writing(self):
        self.heard.append("pause")

    def resume_writing(self):
        self.heard.append("resume")

    def connection_lost(self, exc):
        self.heard.append("lost")


def test_a_guard_passes_on_what_concerns_an_open_connection() -> None:
    """And keeps a refused one away from the server."""
    inner = _Inner()
    guarded = _server._TimedConnection(inner, {})

    for _ in range(2):
        guarded.data_received(b"x")
        guarded.eof_received()
        guarded.connection_lost(None)
        guarded.open[inner] = guarded
    guarded.pause_writing()
    guarded.resume_writing()

    assert inner.heard == ["data", "eof", "lost", "pause", "resume"]
