"""A ledger for each test, in a file and in PostgreSQL."""

from __future__ import annotations

import pytest

from memories_async.ledger import Ledger


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """Where a ledger is: a path, or a URL."""
    if request.param == "sqlite":
        return tmp_path / "run.db"
    return request.getfixturevalue("postgres").url()


@pytest.fixture
def ledger(place):
    """A ledger of its own."""
    with Ledger(place) as made:
        yield made


@pytest.fixture
def file_ledger(tmp_path):
    """A ledger in a file, where the test is about files."""
    with Ledger(tmp_path / "run.db") as made:
        yield made
