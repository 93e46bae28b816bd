"""aioresponses on aiohttp 3.14: a shim in conftest keeps it alive for those who mock this library."""

from __future__ import annotations

import aiohttp
import aioresponses.core
import pytest
from aioresponses import aioresponses as mocking
from callers import client
from samples import EMBEDDED, FOUND, LIMITED, embed_call, search_call

URL = "http://localhost:1"


async def test_canary_the_shim_is_still_needed(monkeypatch):
    """If this fails, aioresponses has caught up: take the shim out of conftest."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", aiohttp.ClientResponse)
    with mocking() as mocked:
        mocked.post(URL, payload={})
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TypeError, match="stream_writer"):
                await session.post(URL)


async def test_canary_the_shim_still_fits():
    """If this fails, look at conftest first: aioresponses or aiohttp has changed."""
    with mocking() as mocked:
        mocked.post(f"{URL}/serve/api/v2/embeddings/video", payload=EMBEDDED)
        async with client(URL) as one:
            assert len(await one.send(embed_call())) == 3


async def test_a_mocked_service_is_understood():
    """Retry and mapping work without a socket; the wire is tested elsewhere."""
    with mocking() as mocked:
        path = f"{URL}/serve/api/v1/search_clips_by_image"
        mocked.post(path, payload=LIMITED, headers={"Retry-After": "0"})
        mocked.post(path, payload=FOUND)
        async with client(URL) as one:
            (clip,) = await one.send(search_call())

        assert clip.end_time == 18.2
        assert sum(len(calls) for calls in mocked.requests.values()) == 2
