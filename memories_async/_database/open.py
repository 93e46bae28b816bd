"""Chooses the database of a ledger or a receiver: a SQLite file, or a schema in PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeGuard

from memories_async._database.database import Database
from memories_async._database.file import Schema
from memories_async._database.sqlite import SqliteDatabase


def is_postgres(place: object) -> TypeGuard[str]:
    """Whether *place* is the URL of a PostgreSQL database."""
    return isinstance(place, str) and place.startswith(("postgresql://", "postgres://"))


def open_database(place: str | os.PathLike[str], schemas: tuple[Schema, ...] = ()) -> Database:
    """Return the database at *place*, a path or a URL; it is opened at first use.

    Raises `ValueError` for a URL that cannot be read, and `ImportError` without psycopg.
    """
    if not is_postgres(place):
        return SqliteDatabase(Path(place), schemas=schemas)
    try:
        from memories_async._database.postgres import PostgresDatabase  # noqa: PLC0415  # optional
        from memories_async._database.postgres_connection import PostgresUrl  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"PostgreSQL needs psycopg: pip install 'memories_async[postgres]' ({error})"
        ) from None
    return PostgresDatabase(PostgresUrl.parse(place), schemas=schemas)
