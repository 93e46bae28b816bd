"""What a shared limiter needs of its store: take one word in, and answer it. Synchronous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from memories_async.limiter._limits import Bucket
from memories_async.limiter._rule import Answer, BucketState, Word


class StoreDown(Exception):
    """The store cannot be used now; the text says why, and holds no password."""


class Store(Protocol):
    """Holds the state of buckets for many processes. Hashable: equal stores share one clerk."""

    def exchange(self, bucket: Bucket, word: Word) -> Answer:
        """Apply `hear` to the bucket's state, alone and whole, or raise `StoreDown`."""
        ...

    def look(self) -> tuple[float, Mapping[str, BucketState]]:
        """Return the store's time and every bucket by name, changing nothing; or raise `StoreDown`."""
        ...

    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""
        ...
