"""A receiver on a file of its own, its twin in what could be another process, and a service."""

from __future__ import annotations

from functools import partial

import pytest
import pytest_asyncio
from names import NAMES

from memories_async import InProcessPace, Limit, Limits, Receiver
from memories_async._database.database import Journal

URL = "https://public.example/memories"


@pytest.fixture(autouse=True)
def _no_file_of_the_users_own(tmp_path, monkeypatch) -> None:
    """Whoever runs the tests keeps callbacks of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "callbacks.db"


@pytest.fixture
def journal(path):
    """A journal with the table of names."""
    made = Journal(path, (NAMES,))
    yield made
    made.close()


@pytest.fixture
def receiver(path):
    with_store = Receiver(URL, store=path)
    yield with_store
    with_store.close()


@pytest.fixture
def other(path):
    """A second receiver on the same file, as a web worker has it beside a batch."""
    second = Receiver(URL, store=path)
    yield second
    second.close()


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """A short film, which every caption here is of."""
    from memories_async.local.engine.video.render import render

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    render(path, seconds=21, scenes=2, size=(160, 90))
    return path


@pytest_asyncio.fixture
async def service(tmp_path):
    """A running service without rate limits."""
    from memories_async.local import Callbacks, LocalService

    callbacks = Callbacks(pause=0.01)
    async with LocalService(limits=None, callbacks=callbacks, cache=tmp_path / "cache") as service:
        yield service


@pytest.fixture
def client(service):
    """Make a client of the service at a pace of its own."""
    limits = Limits(captions=Limit(10_000))
    return partial(service.client, limits=limits, pace=InProcessPace())
