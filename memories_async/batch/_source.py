"""Reads a batch's calls from a mapping, an iterable or an async iterable, a bounded number ahead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import define, field

from memories_async._protocol.call import Call

K = TypeVar("K")
T = TypeVar("T")
Item: TypeAlias = tuple[K, Call[T]]
Calls: TypeAlias = Mapping[K, Call[T]] | Iterable[Item[K, T]] | AsyncIterable[Item[K, T]]

CHUNK = 512
"""The largest number of items that are read together."""
SLICE = 0.01
"""Seconds of reading after which the items read so far are passed on."""


class Source(Protocol[K, T]):
    """Hands out a batch's items in groups."""

    async def read(self) -> list[Item[K, T]]:
        """Return the next items; an empty list at the end."""
        ...

    async def aclose(self) -> None:
        """Stop reading and close the iterator."""
        ...


def open_source(calls: Calls[K, T]) -> Source[K, T]:
    """Return the source for *calls*."""
    if isinstance(calls, AsyncIterable):
        return _AsyncSource(aiter(calls))
    return _ThreadSource(iter(iterate_pairs(calls)))


def iterate_pairs(calls: Mapping[K, Call[T]] | Iterable[Item[K, T]]) -> Iterable[Item[K, T]]:
    """Iterate over the pairs of a mapping or of a plain iterable."""
    found: Any = calls
    if isinstance(calls, Mapping):
        found = found.items()
    items: Iterable[Item[K, T]] = found
    return items


@define(eq=False)
class _ThreadSource(Generic[K, T]):
    """Reads an iterable in a thread of its own: it may open files, query a database, or sleep."""

    items: Iterator[Item[K, T]]
    thread: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(1, "memories_async batch"), init=False
    )
    error: Exception | None = field(default=None, init=False)

    async def read(self) -> list[Item[K, T]]:
        return await asyncio.get_running_loop().run_in_executor(self.thread, self._read_now)

    def _read_now(self) -> list[Item[K, T]]:
        until = time.monotonic() + SLICE
        found: list[Item[K, T]] = []
        if self.error is not None:
            raise self.error
        try:
            for item in islice(self.items, CHUNK):
                found.append(item)
                if time.monotonic() > until:
                    break
        except Exception as error:
            if not found:
                raise
            self.error = error  # raised once the items before it are passed on
        return found

    async def aclose(self) -> None:
        close = getattr(self.items, "close", None)
        if close is not None:
            # In the thread that read the items, after it has read its last one.
            self.thread.submit(close)
        self.thread.shutdown(wait=False)


@define(eq=False)
class _AsyncSource(Generic[K, T]):
    """Reads an async iterable one item at a time: the next one may take long."""

    items: AsyncIterator[Item[K, T]]

    async def read(self) -> list[Item[K, T]]:
        async for item in self.items:
            return [item]
        return []

    async def aclose(self) -> None:
        close: Any = getattr(self.items, "aclose", None)
        if close is not None:
            await close()
