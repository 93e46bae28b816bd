"""The receiver on its own port, against those who mean no good. Everything is raw bytes on sockets."""

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
    """A receiver on a port, with short clocks, and one submission's callback."""
    monkeypatch.setattr(_server, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(_callback_service, "BODY_SECONDS", 0.05)
    receiver = Receiver("http://127.0.0.1:0/cb", store=MemoryStore())
    async with receiver.serve() as address:
        send = FakeSend()
        await receiver.submit(SUBMISSION, send)
        yield Served(receiver, address.port, urlsplit(send.url).path)


class Served:
    """What an attacker, or the service, can do."""

    def __init__(self, receiver, port, path):
        self.receiver, self.port, self.path = receiver, port, path

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own, and read until it is closed."""
        reader, writer = await self.connect()
        writer.write(data)
        return await self.rest(reader, writer)

    async def rest(self, reader, writer) -> bytes:
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
        answer = await self.say(self.request(body, **request))
        return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_a_delivery_is_taken_and_the_connection_kept(served) -> None:
    """Two deliveries on one connection, then it is closed for being idle."""
    answer = await served.say(served.request() * 2)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert (await served.receiver.wait(TASK)).text == "A man enters."


async def test_answers_give_nothing_away(served) -> None:
    """No body, no version, and the same for every wrong path."""
    one = await served.say(served.request(path="/cb/wrong"))
    other = await served.say(served.request(path=served.path[:-1] + "_"))

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
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Length": str(2**40)}, 413),
        ({"Content_Length": "-5"}, 400),
        ({"Host": "two"}, 400),
        ({"body": b"{", "Content_Type": "application/json"}, 400),
        ({"body": b"a=b", "Content_Type": "text/plain"}, 415),
        ({"Content_Length": "", "Transfer_Encoding": "chunked", "body": b"zz\r\n"}, 400),
        ({"X_Forwarded_For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}, 200),
    ],
)
async def test_every_odd_request_has_its_answer(served, request_, status) -> None:
    """What is wrong is said by the status alone; forwarding headers change nothing."""
    assert await served.status(**request_) == status


async def test_an_absolute_address_and_http_1_0_are_understood(served) -> None:
    """Old and odd, but HTTP."""
    absolute = served.request(path=f"http://public.example{served.path}")
    old = served.request().replace(b"HTTP/1.1", b"HTTP/1.0")

    assert b" 200 " in await served.say(absolute)
    assert b" 200 " in await served.say(old)


async def test_a_long_body_is_refused_before_and_while_it_comes(served) -> None:
    """Announced or not, no more than the limit is read."""
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


@pytest.mark.parametrize("bait", [b"", b"PO", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nA: "])
async def test_a_head_that_does_not_come_is_hung_up_on(served, bait) -> None:
    """Idle or trickling, a connection without a request has its time."""
    reader, writer = await served.connect()
    writer.write(bait)
    closed = asyncio.create_task(served.rest(reader, writer))
    while not closed.done():
        writer.write(b"x" if bait else b"")
        await asyncio.sleep(0.01)

    assert b"200" not in await closed


async def test_a_body_that_trickles_is_hung_up_on(served) -> None:
    """408, and the sender may come again."""
    reader, writer = await served.connect()
    writer.write(served.request(b"{", Content_Length="1000"))

    assert b" 408 " in await served.rest(reader, writer)
    assert await served.status() == 200


async def test_a_sender_that_hangs_up_is_forgotten(served) -> None:
    """Half a body and a closed connection: nothing is stored, nothing is logged as an error."""
    _, writer = await served.connect()
    writer.write(served.request(b"{", Content_Length="1000"))
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.01)

    assert await served.receiver.deliveries(TASK) == ()
    assert await served.status() == 200


async def test_connections_are_capped(served, monkeypatch) -> None:
    """Beyond the cap nobody is heard; when some have left, others are."""
    monkeypatch.setattr(_server, "MAX_CONNECTIONS", 3)
    held = [await served.connect() for _ in range(3)]
    await asyncio.sleep(0.01)

    assert await served.say(served.request()) == b""

    for reader, writer in held:
        await served.rest(reader, writer)
    assert await served.status() == 200


async def test_a_flood_is_answered_and_deliveries_still_land(served) -> None:
    """Hundreds of forgeries at once do not keep a delivery out that is repeated."""
    forged = [served.status(path=f"/cb/{n:043d}") for n in range(300)]

    async def genuine():
        while await served.status() != 200:  # noqa: ASYNC110  # it is what a sender does
            await asyncio.sleep(0.01)

    statuses = await asyncio.gather(*forged, genuine())

    # 0: closed unheard, as a flood deserves.
    assert set(statuses[:-1]) <= {0, 404, 503}
    assert (await served.receiver.wait(TASK)).text == "A man enters."


async def test_what_strangers_write_reaches_no_log_unescaped(served, caplog) -> None:
    """Control characters, in a path, a header, a task or a text, are printed as escapes."""
    caplog.set_level(logging.DEBUG)
    evil = b"\x1b[2J\x07"
    await served.say(b"POST /cb/" + evil + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    await served.say(b"\x16\x03\x01" + evil + b"\r\n\r\n")
    for text in ("first", "\x1b[2J\x07"):
        await served.status(json.dumps(success(text)).encode())

    printed = "".join(record.getMessage() for record in caplog.records) + caplog.text
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "Traceback" not in printed, "what strangers get wrong fills no log"


async def test_beyond_this_machine_is_said_aloud(caplog) -> None:
    """Another address than loopback must be asked for, and is logged."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())

    async with receiver.serve("0.0.0.0"):
        assert "beyond this machine" in caplog.text
    caplog.clear()
    async with receiver.serve("localhost") as address, receiver.serve("::1") as six:
        assert address.port > 0
        assert six.url == f"http://[::1]:{six.port}"
    assert "beyond" not in caplog.text


async def test_a_port_that_is_taken_is_an_error_and_nothing_stays_open(served) -> None:
    """The loop's own error says which port."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())

    with pytest.raises(OSError, match=str(served.port)):
        async with receiver.serve(port=served.port):
            pass


async def test_a_request_whose_connection_is_gone_is_not_taken(served) -> None:
    """It had no turn before its clock ran out: the sender has no answer, and may come again."""
    taken = []

    async def handle(request):
        taken.append(request)

    request = SimpleNamespace(protocol="gone")
    response = await _server._Connections(handle)._answer(request)

    assert (response.status, taken) == (408, [])


async def test_serving_again_takes_the_port_of_now(served) -> None:
    """A receiver can be served, stopped and served again."""
    async with served.receiver.serve() as address, aiohttp.ClientSession() as http:
        send = FakeSend()
        await served.receiver.submit(SUBMISSION, send)
        async with http.post(send.url, data=BODY) as reply:
            assert (reply.status, urlsplit(send.url).port) == (200, address.port)
