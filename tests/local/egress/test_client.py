"""The client for outgoing requests: one look-up, no redirects, bounded sizes and times."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import ThreadedResolver, web
from aiohttp.test_utils import TestServer

from memories_async.local.egress.client import EgressClient
from memories_async.local.egress.policy import EgressPolicy, Unreachable

seen = []


async def take(request):
    seen.append(request)
    return web.Response(body=b"content")


async def move(request):
    raise web.HTTPFound("/content")


async def squeeze(request):
    body = gzip.compress(b"0" * 1_000_000)
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def stall(request):
    await asyncio.sleep(60)


async def drop(request):
    request.transport.close()
    return web.Response()


@pytest.fixture
async def site():
    """A site with every kind of answer that a URL in a request could lead to."""
    seen.clear()
    app = web.Application()
    for path, handler in [("content", take), ("moved", move), ("gzip", squeeze)]:
        app.router.add_route("*", f"/{path}", handler)
    app.router.add_get("/stall", stall)
    app.router.add_get("/drop", drop)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.fixture
async def egress():
    """A client that may connect to loopback."""
    egress = EgressClient(EgressPolicy("loopback"), 5.0)
    yield egress
    await egress.close()


async def test_client_fetches_from_loopback_by_address_and_by_name(egress, site):
    """It sends no headers but its own."""
    for url in (site, site.replace("127.0.0.1", "localhost")):
        assert await egress.fetch(f"{url}content", largest=100) == b"content"

    assert "Authorization" not in seen[0].headers
    assert seen[0].headers["User-Agent"] == "memories_async-local"


async def test_client_follows_no_redirect(egress, site):
    """Neither a fetch nor a callback leaves the host that was checked."""
    with pytest.raises(Unreachable, match="answered 302"):
        await egress.fetch(f"{site}moved", largest=100)
    assert await egress.post(f"{site}moved", b"{}") == 302
    assert seen == []


async def test_client_reads_no_more_than_the_largest_size(egress, site):
    """It does not decompress, so a small compressed body stays small."""
    with pytest.raises(Unreachable, match="larger than 6 bytes"):
        await egress.fetch(f"{site}content", largest=6)
    assert len(await egress.fetch(f"{site}gzip", largest=5000)) < 5000


async def test_client_gives_up_at_its_timeout(site):
    """A site that does not answer is `Unreachable`."""
    egress = EgressClient(EgressPolicy("loopback"), 0.01)

    with pytest.raises(Unreachable, match="no answer in time"):
        await egress.fetch(f"{site}stall", largest=100)
    await egress.close()


async def test_client_raises_no_exception_of_aiohttp(egress, site):
    """Those hold request headers."""
    with pytest.raises(Unreachable, match="the connection failed: ServerDisconnectedError") as one:
        await egress.fetch(f"{site}drop", largest=100)

    assert one.value.__cause__ is None


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1"])
async def test_client_does_not_connect_to_a_forbidden_address_of_a_name(monkeypatch, address):
    """A public name with a private address, or that of the service, is refused before the
    connection."""

    async def elsewhere(resolver, host, port=0, family=0):
        found = {"hostname": host, "host": address, "port": port}
        return [{**found, "family": family, "proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", elsewhere)
    egress = EgressClient(EgressPolicy("anywhere", own_port=80), 5.0)

    with pytest.raises(Unreachable, match="out of reach"):
        await egress.fetch("http://films.example/", largest=10)
    with pytest.raises(Unreachable, match="out of reach"):
        await egress.post("http://films.example/", b"{}")
    await egress.close()
