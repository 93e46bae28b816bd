"""A database with one table, in a file of its own."""

from __future__ import annotations

import pytest
from names import NAMES

from memories_async._database.sqlite import SqliteDatabase


@pytest.fixture
def path(tmp_path):
    return tmp_path / "names.db"


@pytest.fixture
def database(path):
    """A database with the table of names."""
    made = SqliteDatabase(path, schemas=(NAMES,))
    yield made
    made.close()
