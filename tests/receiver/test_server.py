"""The receiver on its own port, against hostile and broken senders: raw bytes on sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from callbacks import SUBMISSION, TASK, FakeSend, success

from memories_async import Receiver
from memories_async.receiver import MemoryStore, _callback_service, _server

BODY = json.dumps(success()).encode()


@pytest_asyncio.fixture
async def served(monkeypatch):
    """A receiver on a port, with short timeouts, and the callback URL of one submission."""
    monkeypatch.setattr(_server, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(_callback_service, "BODY_SECONDS", 0.05)
    receiver = Receiver("http://127.0.0.1:0/cb", store=MemoryStore())
    async with receiver.serve() as address:
        send = FakeSend()
        await receiver.submit(SUBMISSION, send)
        yield Served(receiver, address.port, urlsplit(send.url).path)


class Served:
    """What a sender can do to the receiver."""

    def __init__(self, receiver, port, path):
        self.receiver, self.port, self.path = receiver, port, path

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, data: bytes) -> bytes:
        """Send bytes on a new connection, and read until it is closed."""
        reader, writer = await self.connect()
        writer.write(data)
        return await self.read_rest(reader, writer)

    async def read_rest(self, reader, writer) -> bytes:
        async with asyncio.timeout(10):
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    def request(self, body=BODY, *, method="POST", path=None, **headers) -> bytes:
        lines = [f"{method} {path or self.path} HTTP/1.1", "Host: x"]
        lines += [
            f"{name.replace('_', '-')}: {value}"
            for name, value in ({"Content_Length": str(len(body))} | headers).items()
            if value
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def status(self, body=BODY, **request) -> int:
        answer = await self.exchange(self.request(body, **request))
        return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_a_connection_is_kept_open_after_a_callback(served) -> None:
    """It carries a second callback, and is closed when it is idle."""
    answer = await served.exchange(served.request() * 2)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert (await served.receiver.wait(TASK)).text == "A man enters."


async def test_answers_reveal_nothing(served) -> None:
    """They have no body and no version, and are the same for every wrong path."""
    one = await served.exchange(served.request(path="/cb/wrong"))
    other = await served.exchange(served.request(path=served.path[:-1] + "_"))

    assert _without_date(one) == _without_date(other)
    assert one.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert one.endswith(b"\r\n\r\n")
    assert b"aiohttp" not in one
    assert b"Python" not in one


def _without_date(answer: bytes) -> list[bytes]:
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date:")]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET"}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"path": "/"}, 404),
        ({"path": "/cb/%2e%2e/x"}, 404),
        ({"Content_Encoding": "gzip"}, 200),
        ({"Content_Encoding": "gzip", "path": "/cb/forged", "body": b"abcde"}, 404),
        ({"X_Long": "x" * 60_000}, 200),
        ({"Authorization": "x" * 9_000, "Cookie": "y" * 9_000}, 200),
        ({"X_Long": "x" * 70_000}, 400),
        ({"body": b""}, 400),
        ({"Content_Length": str(2**40)}, 413),
        ({"Content_Length": "-5"}, 400),
        ({"Host": "two"}, 400),
        ({"body": b"{", "Content_Type": "application/json"}, 200),
        ({"body": b"a=b", "Content_Type": "text/plain"}, 200),
        ({"Content_Length": "", "Transfer_Encoding": "chunked", "body": b"zz\r\n"}, 400),
        ({"X_Forwarded_For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}, 200),
    ],
)
async def test_every_odd_request_has_its_status(served, request_, status) -> None:
    """The reply has a status and no details; forwarding headers change nothing."""
    assert await served.status(**request_) == status


@pytest.mark.parametrize("ending", ["/", "//", "?a=1", "/?a=1"])
async def test_what_follows_the_token_costs_no_caption(served, ending) -> None:
    """A proxy may normalize the URL."""
    assert await served.status(path=served.path + ending) == 200
    assert (await served.receiver.wait(TASK, timeout=0)).text == "A man enters."


async def test_a_sender_is_asked_to_continue_only_with_a_good_token(served) -> None:
    """It waits with its body until then, as `Expect: 100-continue` says."""
    reader, writer = await served.connect()
    head = served.request(b"", Content_Length=str(len(BODY)), Expect="100-Continue")
    writer.write(head)
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert b"HTTP/1.1 200 OK" in await served.read_rest(reader, writer)

    forged = head.replace(served.path.encode(), b"/cb/forged")
    assert (await served.exchange(forged)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("has_token", [True, False])
async def test_a_forged_compressed_request_prints_no_traceback(
    served, encoding, has_token, caplog, capfd
) -> None:
    """Any sender is accepted; with a valid token the body is stored unchanged."""
    caplog.set_level(logging.DEBUG)
    path = served.path if has_token else "/cb/forged"

    status = await served.status(b"abcde", path=path, Content_Encoding=encoding)

    assert status == (200 if has_token else 404)
    assert "Traceback" not in caplog.text + capfd.readouterr().err


async def test_an_absolute_url_and_http_1_0_are_accepted(served) -> None:
    """Both are unusual but valid."""
    absolute = served.request(path=f"http://public.example{served.path}")
    old = served.request().replace(b"HTTP/1.1", b"HTTP/1.0")

    assert b" 200 " in await served.exchange(absolute)
    assert b" 200 " in await served.exchange(old)


async def test_a_long_body_is_refused_before_and_while_it_comes(served) -> None:
    """With a stated length or without, no more than the limit is read."""
    reader, writer = await served.connect()
    writer.write(served.request(b"", Content_Length="", Transfer_Encoding="chunked"))
    answer = asyncio.create_task(reader.readline())
    while not answer.done():
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)

    assert b" 413 " in await answer
    writer.close()
    assert await served.status(b"x" * (_callback_service.MAX_BODY + 1)) == 413


@pytest.mark.parametrize("start", [b"", b"PO", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nA: "])
async def test_a_connection_without_a_complete_head_is_closed(served, start) -> None:
    """After a few seconds, whether bytes keep coming or not."""
    reader, writer = await served.connect()
    writer.write(start)
    closed = asyncio.create_task(served.read_rest(reader, writer))
    while not closed.done():
        writer.write(b"x" if start else b"")
        await asyncio.sleep(0.01)

    assert b"200" not in await closed


async def test_a_body_that_trickles_is_answered_408(served) -> None:
    """The sender may try again."""
    reader, writer = await served.connect()
    writer.write(served.request(b"{", Content_Length="1000"))

    assert b" 408 " in await served.read_rest(reader, writer)
    assert await served.status() == 200


async def test_half_a_body_is_not_stored(served) -> None:
    """A sender that closes the connection early changes nothing."""
    _, writer = await served.connect()
    writer.write(served.request(b"{", Content_Length="1000"))
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.01)

    assert await served.receiver.deliveries(TASK) == ()
    assert await served.status() == 200


async def test_connections_are_capped(served, monkeypatch) -> None:
    """Further connections are closed unread until others have ended."""
    monkeypatch.setattr(_server, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(_server, "HEAD_SECONDS", 60.0)
    held = [await served.connect() for _ in range(3)]

    assert await served.exchange(served.request()) == b""

    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(60):
        while await served.status() != 200:  # noqa: ASYNC110  # the receiver hears of it later
            await asyncio.sleep(0.01)


async def test_callbacks_are_accepted_during_a_flood(served) -> None:
    """A callback that is repeated gets through among hundreds of forged requests."""
    forged = [served.status(path=f"/cb/{n:043d}") for n in range(300)]

    async def genuine():
        while await served.status() != 200:  # noqa: ASYNC110  # it is what a sender does
            await asyncio.sleep(0.01)

    statuses = await asyncio.gather(*forged, genuine())

    # 0: the connection was closed unread.
    assert set(statuses[:-1]) <= {0, 404, 503}
    assert (await served.receiver.wait(TASK)).text == "A man enters."


async def test_the_log_escapes_control_characters_of_senders(served, caplog) -> None:
    """Whether they stand in a path, a header, a task or a text."""
    caplog.set_level(logging.DEBUG)
    evil = b"\x1b[2J\x07"
    await served.exchange(b"POST /cb/" + evil + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    await served.exchange(b"\x16\x03\x01" + evil + b"\r\n\r\n")
    for text in ("first", "\x1b[2J\x07"):
        await served.status(json.dumps(success(text)).encode())

    printed = "".join(record.getMessage() for record in caplog.records) + caplog.text
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "Traceback" not in printed, "broken HTTP of any sender must not fill the log"


async def test_serving_beyond_this_machine_is_logged(caplog) -> None:
    """Any address but loopback must be given, and causes a warning."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())

    async with receiver.serve("0.0.0.0"):
        assert "beyond this machine" in caplog.text
    caplog.clear()
    async with receiver.serve("localhost") as address, receiver.serve("::1") as six:
        assert address.port > 0
        assert six.url == f"http://[::1]:{six.port}"
    assert "beyond" not in caplog.text


async def test_a_port_that_is_taken_raises_an_error(served) -> None:
    """The event loop's own error names the port."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())

    with pytest.raises(OSError, match=str(served.port)):
        async with receiver.serve(port=served.port):
            pass


async def test_a_request_of_a_closed_connection_is_not_handled(served) -> None:
    """It was closed before the request was handled, so the sender may try again."""
    handled = []

    async def handle(request):
        handled.append(request)

    request = SimpleNamespace(protocol="gone")
    response = await _server._Connections(handle)._answer(request)

    assert (response.status, handled) == (408, [])


async def test_a_receiver_can_be_served_again(served) -> None:
    """Port 0 then stands for the new port."""
    async with served.receiver.serve() as address, aiohttp.ClientSession() as http:
        send = FakeSend()
        await served.receiver.submit(SUBMISSION, send)
        async with http.post(send.url, data=BODY) as reply:
            assert (reply.status, urlsplit(send.url).port) == (200, address.port)
