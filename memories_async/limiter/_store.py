"""What a shared pace needs of its store: take one word in, and answer it. Synchronous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from memories_async.limiter._limits import Lane
from memories_async.limiter._rule import Answer, LaneState, Word


class StoreDown(Exception):
    """The store cannot be used now; the text says why, and holds no password."""


class Store(Protocol):
    """Holds the state of lanes for many processes. Hashable: equal stores share one clerk."""

    def exchange(self, lane: Lane, word: Word) -> Answer:
        """Apply `hear` to the lane's state, alone and whole, or raise `StoreDown`."""
        ...

    def look(self) -> tuple[float, Mapping[str, LaneState]]:
        """Return the store's time and every lane by name, changing nothing; or raise `StoreDown`."""
        ...

    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""
        ...
