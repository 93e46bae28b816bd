"""A receiver on a file of its own, and its twin in what could be another process."""

from __future__ import annotations

import pytest

from memories_async import Receiver

URL = "https://public.example/memories"


@pytest.fixture(autouse=True)
def _no_file_of_the_users_own(tmp_path, monkeypatch) -> None:
    """Whoever runs the tests keeps callbacks of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "callbacks.db"


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
