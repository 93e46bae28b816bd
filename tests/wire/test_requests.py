"""What goes over the wire, byte for byte, read by a second parser."""

from __future__ import annotations

import io
import json
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from callers import client
from samples import (
    ACCEPTED,
    EMBEDDED,
    FOUND,
    KEY,
    PNG,
    caption_call,
    embed_call,
    search_call,
)
from servers import answer, http, serving

import memories_async
from memories_async import Person, captions, clips
from memories_async._http.attempt import Attempt
from memories_async._http.direct import build_transport
from memories_async._protocol.keys import Key

ASKED = {"user_prompt": "u", "system_prompt": "s", "callback": "https://me/cb"}
BOUNDARY = '--deadbeef\r\nContent-Disposition: form-data; name="video_no"\r\n\r\nVI666\r\n--'


async def sent(call, document, **settings):
    """Send *call* and return what the server received."""
    async with serving(answer(document)) as server:
        async with client(server.url, **settings) as one:
            await one.send(call)
        (exchange,) = server.exchanges
    return exchange


def parts(exchange):
    """The parts of a form as Python's mail parser reads them: name, file name, type, bytes."""
    head = f"Content-Type: {exchange.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + exchange.body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get("content-type"),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


async def test_a_client_with_another_key_shares_the_connections():
    """As for the tenants of one application: each call carries the key of its own account."""
    async with serving(answer(EMBEDDED)) as server:
        async with client(server.url) as one:
            await one.send(embed_call())
            await one.with_options(api_key="local-other").send(embed_call())

        keys = [exchange.headers["authorization"] for exchange in server.exchanges]
        assert (keys, server.connections) == ([KEY, "local-other"], 1)


async def test_a_search_is_the_form_of_its_page():
    """Text fields without a type, as browsers and *requests* send them."""
    exchange = await sent(search_call(prompt="rød ✓ trøje\r\nsecond line"), FOUND)

    assert exchange.head.startswith(b"POST /serve/api/v1/search_clips_by_image HTTP/1.1\r\n")
    assert parts(exchange) == [
        ("file", "query.png", "image/png", PNG),
        ("video_no", None, None, b"VI1"),
        ("prompt", None, None, "rød ✓ trøje\r\nsecond line".encode()),
        ("unique_id", None, None, b"default"),
    ]


async def test_a_second_parser_agrees():
    """aiohttp's own, on the server's side."""
    seen = {}

    async def read(request):
        form = await request.post()
        picture = form["file"]
        seen.update(form, file=(picture.filename, picture.content_type, picture.file.read()))
        return web.json_response(FOUND)

    application = web.Application()
    application.router.add_post("/serve/api/v1/search_clips_by_image", read)
    async with TestServer(application, host="localhost") as server:
        one = client(str(server.make_url("")))
        await one.send(search_call(prompt="rød ✓"))
        await one.aclose()

    assert seen == {
        "file": ("query.png", "image/png", PNG),
        "video_no": "VI1",
        "prompt": "rød ✓",
        "unique_id": "default",
    }


async def test_headers_are_few_and_exact():
    """The key bare, as the pages want it, the true length, and no chunked encoding."""
    exchange = await sent(search_call(), FOUND)
    headers = exchange.headers

    assert headers["authorization"] == KEY
    assert headers["user-agent"] == f"memories_async/{memories_async.__version__}"
    assert headers["content-length"] == str(len(exchange.body))
    assert "transfer-encoding" not in headers
    assert "cookie" not in headers
    assert exchange.head.lower().count(b"authorization") == 1


async def test_an_embedding_is_the_document_of_its_page():
    """JSON, and nothing else."""
    exchange = await sent(embed_call(), EMBEDDED)

    assert exchange.path == "/serve/api/v2/embeddings/video"
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.body == b'{"asset_id":"re_1","model":"multimodalembedding@001"}'


async def test_a_caption_by_url_is_the_document_of_its_page():
    """With the key of its own host, where there is one."""
    exchange = await sent(caption_call(), ACCEPTED, caption_api_key="local-captions")

    assert exchange.path == "/v1/understand/upload"
    assert exchange.headers["authorization"] == "local-captions"
    assert json.loads(exchange.body)["video_url"] == "https://example.com/v.mp4"


@pytest.mark.parametrize("size", [10, 1024 * 1024 - 1, 3 * 1024 * 1024 + 7])
async def test_a_caption_by_file_is_the_form_of_its_page(tmp_path, size):
    """Joined or streamed, the same bytes: `req`, the video, the pictures in order."""
    film = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "private name.mp4").write_bytes(film)
    people = [Person("Ann", image=PNG), Person("Bob", image=b"GIF89a bob")]
    call = captions.upload_file(tmp_path / "private name.mp4", **ASKED, persons=people)
    exchange = await sent(call, ACCEPTED)

    req, *files = parts(exchange)
    assert req[:3] == ("req", "req.json", "application/json")
    assert json.loads(req[3])["persons"] == [{"name": "Ann"}, {"name": "Bob"}]
    assert files == [
        ("files", "video.mp4", "video/mp4", film),
        ("files", "Ann.png", "image/png", PNG),
        ("files", "Bob.gif", "image/gif", b"GIF89a bob"),
    ]
    assert b"private" not in exchange.head + exchange.body


async def test_an_open_file_is_sent_from_where_it_stood():
    """Small or streamed, and it stays open for its owner."""
    for size in (10, 2 * 1024 * 1024):
        file = io.BytesIO(b"skipped" + PNG + bytes(size))
        file.seek(7)
        exchange = await sent(clips.search(file, prompt="x", video_no="VI1"), FOUND)

        assert parts(exchange)[0][3] == PNG + bytes(size)
        assert (file.closed, file.tell()) == (False, 7)


async def test_a_prompt_cannot_break_out_of_its_part():
    """The boundary is random, so it cannot be predicted."""
    exchange = await sent(search_call(prompt=BOUNDARY), FOUND)
    again = await sent(search_call(prompt=BOUNDARY), FOUND)

    assert {name: body for name, _, _, body in parts(exchange)}["video_no"] == b"VI1"
    assert len(parts(exchange)) == 4
    assert exchange.headers["content-type"] != again.headers["content-type"]


async def test_no_request_carries_cookies_of_an_answer():
    """Whatever the server wants remembered."""
    async with serving(answer(FOUND, Set_Cookie="a=b; Path=/")) as server:
        async with client(server.url) as one:
            await one.send(search_call())
            await one.send(search_call())

        assert all("cookie" not in exchange.headers for exchange in server.exchanges)


async def test_neither_proxies_nor_keys_come_from_the_environment(monkeypatch, tmp_path):
    """`HTTP_PROXY` and `.netrc` are for others."""
    (tmp_path / "netrc").write_text("machine localhost login me password local-secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:9")
    monkeypatch.setenv("http_proxy", "http://localhost:9")
    exchange = await sent(search_call(), FOUND)

    assert exchange.headers["authorization"] == KEY


async def test_a_transport_can_be_used_by_itself(transport):
    """A request needs neither a limiter nor hooks; a GET has no body."""
    transport = build_transport(user_agent="mine", ssl=None, kind=transport)
    key = Key(KEY, variable="MEMORIES_API_KEY")
    limits = {"connect_timeout": 5.0, "timeout": 5.0, "deadline": None}

    async def respond(exchange):
        await exchange.write(http(b"{}"))

    async with serving(respond) as server:
        attempt = Attempt(method="GET", url=f"{server.url}/x", body=None, key=key, **limits)
        carried = await transport.carry(attempt)
        await transport.aclose()

        (exchange,) = server.exchanges
    assert (carried.status, carried.body) == (200, b"{}")
    assert exchange.head.startswith(b"GET /x HTTP/1.1\r\n")
    assert exchange.headers["user-agent"] == "mine"
    assert "content-length" not in exchange.headers
