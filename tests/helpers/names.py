"""A database with one small table, and how to write into it and count."""

from __future__ import annotations

import sqlite3

from memories_async._database.file import Schema

NAMES = Schema("names", (("CREATE TABLE names (name TEXT PRIMARY KEY)",),))


def insert(name):
    return lambda db: db.execute("INSERT INTO names VALUES (?)", (name,)).rowcount


def count(db) -> int:
    return db.execute("SELECT count(*) FROM names").fetchone()[0]


def written(path) -> int:
    """Count with a connection of one's own, as another program would."""
    with sqlite3.connect(path) as file:
        found = count(file)
    file.close()
    return found
