"""A ledger for each test."""

from __future__ import annotations

import pytest

from memories_async.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    """A ledger in its own file."""
    with Ledger(tmp_path / "run.db") as made:
        yield made
