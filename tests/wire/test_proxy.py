"""Proxies: given explicitly, refused visibly (case 14)."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme
from attrs import evolve
from callers import HASTY
from samples import FOUND, KEY, search_call
from servers import answer, http, serving

from memories_async.errors import InvalidRequest, NotSent


@pytest.fixture(scope="module")
def authority():
    """Of the server behind the proxy."""
    return trustme.CA()


@pytest.fixture
def tls(authority):
    """The server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority, tmp_path):
    """The authority's file."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


async def tunnel(exchange):
    """Do what CONNECT asks."""
    host, port = exchange.path.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await exchange.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source, target):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(pump(exchange.reader, writer))
        group.create_task(pump(reader, exchange.writer))


async def test_a_tunnel_carries_the_call_and_never_sees_the_key(connect, tls, trusted):
    """CONNECT, then TLS to the service itself."""
    async with serving(answer(FOUND), ssl=tls) as server, serving(tunnel) as proxy:
        caller = connect(server.url, proxy=proxy.url, ssl=trusted)
        assert await caller.send(search_call())
        await caller.aclose()

        assert (server.requests, proxy.requests) == (1, 1)
    assert proxy.exchanges[0].head.startswith(f"CONNECT localhost:{server.port}".encode())
    assert KEY.encode() not in proxy.exchanges[0].head


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_tunnel_that_is_refused_is_final(connect, tls, trusted, status):
    """The service saw nothing."""

    async def refuse(exchange):
        await exchange.write(http(b"", status))

    async with serving(answer(FOUND), ssl=tls) as server, serving(refuse) as proxy:
        error = await connect(server.url, proxy=proxy.url, ssl=trusted).fails(
            search_call(), NotSent
        )

        assert (server.connections, proxy.requests) == (0, 1)
    assert (
        f"the proxy refused to connect to localhost:{server.port} (status {status})"
        in error.message
    )
    assert (error.billed, error.attempts) == ("no", 1)


async def test_a_proxy_that_is_not_there_is_tried_again(connect):
    """It may come back."""
    caller = connect(
        "https://localhost:1", proxy="http://localhost:9", policy=evolve(HASTY, attempts=2)
    )
    error = await caller.fails(search_call(), NotSent)

    assert (error.message, error.attempts) == ("the proxy could not be reached", 2)


async def test_a_plain_proxy_that_wants_a_password_is_a_refusal(connect):
    """407 for a service on this machine."""
    async with serving(answer(FOUND)) as server, serving(answer(b"", 407)) as proxy:
        caller = connect(server.url, proxy=proxy.url)
        error = await caller.fails(search_call(), InvalidRequest)

        assert (server.requests, proxy.requests) == (0, 1)
    assert (error.status, error.billed) == (407, "no")
