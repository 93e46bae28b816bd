"""ASGI, WSGI and aiohttp without a server: the branches that a well-behaved server never reaches."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import threading
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


def test_asgi_accepts_a_body_in_chunks(receiver, callback) -> None:
    """The answer has no body."""
    pieces = [{"type": "http.request", "body": BODY[:9], "more_body": True}]
    pieces += [{"type": "http.request", "more_body": True}]
    pieces += [{"type": "http.request", "body": BODY[9:]}]

    start, body = asgi(receiver, scope(callback), *pieces)

    assert (start["status"], start["headers"]) == (200, [(b"content-length", b"0")])
    assert body["body"] == b""
    assert len(asyncio.run(receiver.deliveries(TASK))) == 1


def test_asgi_says_which_method_is_allowed(receiver, callback) -> None:
    """The answer's headers are sent."""
    start, _ = asgi(receiver, scope(callback) | {"method": "GET"})

    assert start["status"] == 405
    assert (b"allow", b"POST") in start["headers"]


def test_asgi_ignores_a_sender_that_disconnects(receiver, callback) -> None:
    """Half a body is not stored, and no answer is sent."""
    piece = {"type": "http.request", "body": BODY[:9], "more_body": True}

    assert asgi(receiver, scope(callback), piece, {"type": "http.disconnect"}) == []
    assert asyncio.run(receiver.deliveries(TASK)) == ()


def test_asgi_follows_its_servers_lifespan_and_closes_websockets(receiver) -> None:
    """So it can be the only application of a server."""
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


def test_wsgi_accepts_a_body(receiver, callback) -> None:
    """With a length, or without one where the server marks the end."""
    unknown = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}

    assert wsgi(receiver, callback) == "200 OK"
    assert wsgi(receiver, callback, **unknown) == "200 OK"
    assert wsgi(receiver, callback, b"x" * 300_000, **unknown).startswith("413")


def test_wsgi_reads_no_body_without_an_end(receiver, callback) -> None:
    """A read that might never end is not started, and a refused request's body is not read."""
    assert wsgi(receiver, callback, CONTENT_LENGTH="") == "411 Length Required"
    assert wsgi(receiver, callback, BODY[:9], CONTENT_LENGTH=str(len(BODY))) == "400 Bad Request"
    assert wsgi(receiver, callback, CONTENT_LENGTH="999999").startswith("413")
    assert wsgi(receiver, "/cb/wrong") == "404 Not Found"
    assert wsgi(receiver, callback, REQUEST_METHOD="GET") == "405 Method Not Allowed"
    assert asyncio.run(receiver.deliveries(TASK)) == ()


def test_wsgi_answers_503_if_its_loop_cannot_start(receiver, callback, monkeypatch, caplog) -> None:
    """The service may try again; no worker of the server waits for a thread that does not exist."""

    def fail(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail)
        assert wsgi(receiver, callback) == "503 Service Unavailable"
    assert "can't start new thread" in caplog.text
    assert wsgi(receiver, callback) == "200 OK"


def test_wsgi_decompresses_a_body(receiver, callback) -> None:
    """Frameworks leave that to the application."""
    encoding = {"HTTP_CONTENT_ENCODING": "gzip"}

    assert wsgi(receiver, f"{callback}/", gzip.compress(BODY), **encoding) == "200 OK"
    assert asyncio.run(receiver.wait(TASK, timeout=0)).text == "A man enters."


async def test_aiohttp_mounts_the_receiver_below_any_path(receiver) -> None:
    """The sub-application accepts callbacks, and stores nothing of a sender that disconnects."""
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


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_forged_compressed_request_to_aiohttp_prints_no_traceback(
    receiver, encoding, at_once, caplog
) -> None:
    """The application's server decompresses before the token is seen, and fails."""
    from aiohttp import web

    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    token = urlsplit(send.url).path.rpartition("/")[2]
    app = web.Application()
    app.add_subapp("/cb", receiver.aiohttp_app())
    async with TestClient(TestServer(app)) as http:
        for path, status in ((f"/cb/{token}", b" 400 "), ("/cb/forged", b" 404 ")):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\n"
            head += "Connection: close\r\nContent-Length: 5\r\n\r\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
            writer.write(head.encode())
            if not at_once:
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.write(b"abcde")
            async with asyncio.timeout(10):
                assert status in await reader.readline()
                await reader.read()
            writer.close()

    assert "Traceback" not in caplog.text
    assert "a callback was not stored" in caplog.text


class _RecordingProtocol(asyncio.Protocol):
    """Records which of its methods are called."""

    def __init__(self):
        self.calls = []

    def data_received(self, data):
        self.calls.append("data")

    def eof_received(self):
        self.calls.append("eof")

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append("lost")


def test_a_connection_forwards_events_only_while_it_is_open() -> None:
    """The server refuses the connection before aiohttp sees it."""
    inner = _RecordingProtocol()
    connection = _server._TimedConnection(inner, {})

    for _ in range(2):
        connection.data_received(b"x")
        connection.eof_received()
        connection.connection_lost(None)
        connection.open[inner] = connection
    connection.pause_writing()
    connection.resume_writing()

    assert inner.calls == ["data", "eof", "lost", "pause", "resume"]
