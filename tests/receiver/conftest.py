"""A receiver with a store of its own, in a file and in PostgreSQL, a second one, and a service."""

from __future__ import annotations

from functools import partial

import pytest
import pytest_asyncio

from memories_async import InProcessLimiter, Limit, Limits, Receiver

URL = "https://public.example/memories"


@pytest.fixture(autouse=True)
def _no_file_of_the_users_own(tmp_path, monkeypatch) -> None:
    """Keep the tests away from the file of the user who runs them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "callbacks.db"


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, path):
    """Where processes share a store: a path, or a URL."""
    return path if request.param == "sqlite" else request.getfixturevalue("postgres").url()


@pytest.fixture
def receiver(place):
    with_store = Receiver(URL, store=place)
    yield with_store
    with_store.close()


@pytest.fixture
def file_receiver(path):
    """A receiver on a file, where the test is about files."""
    with_store = Receiver(URL, store=path)
    yield with_store
    with_store.close()


@pytest.fixture
def other(place):
    """A second receiver on the same store, as a web worker and a batch have it."""
    second = Receiver(URL, store=place)
    yield second
    second.close()


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """A short video for every caption."""
    from memories_async.local.engine.video.render import render

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    render(path, seconds=21, scenes=2, size=(160, 90))
    return path


@pytest_asyncio.fixture
async def service():
    """A running service without rate limits, whose captions are fixed: what they say is not tested here."""
    from memories_async.local import Callbacks, LocalService
    from memories_async.local.engine.fixed import FixedEngine

    settings = Callbacks(pause=0.01)
    async with LocalService(engine=FixedEngine(), limits=None, callbacks=settings) as service:
        yield service


@pytest.fixture
def client(service):
    """Make a client of the service with a limiter of its own."""
    limits = Limits(captions=Limit(10_000))
    return partial(service.client, limits=limits, limiter=InProcessLimiter())
