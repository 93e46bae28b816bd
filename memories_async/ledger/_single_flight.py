"""Identical calls in flight share one request: the first sends, the others wait for it to land."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from copy import copy

from attrs import define, field

from memories_async.errors import MemoriesError

Flight = Future[MemoriesError | None]
"""Lands with the error that ended it, or None: then the ledger is worth another look."""


@define(eq=False)
class Flights:
    """What this process is delivering, over all threads and event loops, by key."""

    _under_way: dict[str, Flight] = field(factory=dict[str, Flight], init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        # A forked child delivers nothing of its parent's.
        os.register_at_fork(after_in_child=self._forget)

    def join(self, key: str) -> Flight | None:
        """Return the flight under *key*; None where there was none, and the caller's begins."""
        with self._lock:
            flight = self._under_way.get(key)
            if flight is None:
                self._under_way[key] = Future()
            return flight

    def land(self, key: str, error: MemoriesError | None) -> None:
        """End the caller's flight and tell those who wait."""
        with self._lock:
            flight = self._under_way.pop(key, None)
        if flight is not None:
            flight.set_result(error)

    def _forget(self) -> None:
        self._under_way, self._lock = {}, threading.Lock()


async def landing(flight: Flight) -> None:
    """Wait for somebody else's flight, and raise what it raised there."""
    # Shielded: who stops waiting must not stop the others.
    error = await asyncio.shield(asyncio.wrap_future(flight))
    if error is not None:
        raise copy(error)
