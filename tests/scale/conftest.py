"""The embedded service over a thousand films, which counts what was paid for each."""

from __future__ import annotations

import pytest

from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of 1,000 files that the fixed engine takes for films."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(1000):
        (folder / f"film{number:04}.mp4").write_bytes(b"film %d" % number)
    return folder


@pytest.fixture
def service(films, monkeypatch):
    """The embedded service over *films*, without limits; its key is in the environment."""
    from scale import KEY  # which skips where Ray is not installed

    with LocalService(films, engine=FixedEngine(), limits=None, api_key=KEY) as running:
        monkeypatch.setenv("MEMORIES_API_KEY", KEY)
        yield running
