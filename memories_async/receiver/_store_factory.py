"""What `store=` may be: a path, a ledger, a store, or nothing; and what that comes to."""

from __future__ import annotations

import os
from typing import Protocol, TypeAlias, runtime_checkable

from memories_async._database.database import Database
from memories_async.receiver._sqlite import SqliteStore
from memories_async.receiver._store import Settler, Store


@runtime_checkable
class HasDatabase(Protocol):
    """Whatever keeps its rows in a database, as a ledger does: the receiver shares it."""

    @property
    def database(self) -> Database: ...


Place: TypeAlias = Store | HasDatabase | str | os.PathLike[str] | None


def store_at(place: Place) -> Store:
    """Return the store that *place* stands for."""
    if isinstance(place, Store):
        return place
    if isinstance(place, HasDatabase):
        return SqliteStore(place.database, is_own=False)
    return SqliteStore.at(place)


def settler_in(place: object) -> Settler | None:
    """Return *place* if it is a ledger that callbacks can settle."""
    return place if isinstance(place, Settler) else None
