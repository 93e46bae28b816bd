"""A service that takes uploads, and one way to ask it with either client."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from attrs import define, fields
from callers import PATIENT

from memories_async import Client, InProcessLimiter, Limit, Limits, blocking
from memories_async.ledger import Ledger
from memories_async.local import Callbacks, LocalService
from memories_async.local.engine.fixed import FixedEngine

FAST = Limits(**{family.name: Limit(100_000) for family in fields(Limits)})


@define(eq=False)
class Library:
    """A client of either kind, whose methods are named in words and awaited."""

    client: Client | blocking.Client

    async def __call__(self, words: str, *args, **options):
        group, verb = words.split(".")
        method = getattr(getattr(self.client, group), verb)
        if isinstance(self.client, Client):
            return await method(*args, **options)
        return await asyncio.to_thread(method, *args, **options)

    async def listed(self, **options):
        if isinstance(self.client, Client):
            return [video async for video in self.client.videos.list(**options)]
        return await asyncio.to_thread(lambda: [*self.client.videos.list(**options)])

    async def aclose(self) -> None:
        if isinstance(self.client, Client):
            await self.client.aclose()
        else:
            await asyncio.to_thread(self.client.close)


@pytest.fixture
def film(tmp_path):
    """A file that the fixed engine takes for a video of a minute."""
    path = tmp_path / "holiday.mp4"
    path.write_bytes(b"a film of a minute")
    return path


@pytest_asyncio.fixture
async def service():
    """A running service without videos, limits or patience."""
    callbacks = Callbacks(pause=0.001)
    async with LocalService(
        engine=FixedEngine(), limits=None, callbacks=callbacks, parsing_seconds=0.005, dimensions=4
    ) as service:
        yield service


@pytest_asyncio.fixture(params=["awaited", "blocking"])
async def connect(request, service):
    """A function that makes a client of either kind for the service."""
    made = []

    def connect(**changes):
        settings = {"policy": PATIENT, "limits": FAST, "limiter": InProcessLimiter(), **changes}
        kind = service.client if request.param == "awaited" else service.blocking_client
        made.append(Library(kind(**settings)))
        return made[-1]

    yield connect
    for one in made:
        await one.aclose()


@pytest.fixture
def library(connect):
    """A client of either kind."""
    return connect()


@pytest.fixture
def ledger(tmp_path):
    """A ledger of its own for each test."""
    with Ledger(tmp_path / "run.db") as made:
        yield made
