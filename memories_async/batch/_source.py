"""Where a batch's calls come from: a mapping, or any iterable, read a little ahead and no further."""

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
"""Items read at once at most."""
SLICE = 0.01
"""Seconds of reading after which the items so far go on their way."""


class Source(Protocol[K, T]):
    """Hands out a batch's items, some at a time."""

    async def some(self) -> list[Item[K, T]]:
        """Return the next items; none means that there are no more."""
        ...

    async def aclose(self) -> None:
        """Stop reading."""
        ...


def source_of(calls: Calls[K, T]) -> Source[K, T]:
    """Read *calls*, whatever they come in."""
    if isinstance(calls, AsyncIterable):
        return _Awaited(aiter(calls))
    return _Blocking(iter(pairs(calls)))


def pairs(calls: Mapping[K, Call[T]] | Iterable[Item[K, T]]) -> Iterable[Item[K, T]]:
    """Go through what is not asynchronous."""
    found: Any = calls
    if isinstance(calls, Mapping):
        found = found.items()
    items: Iterable[Item[K, T]] = found
    return items


@define(eq=False)
class _Blocking(Generic[K, T]):
    """Read in one thread of its own: an iterable may open files, ask a database, or sleep."""

    items: Iterator[Item[K, T]]
    thread: ThreadPoolExecutor = field(
        factory=lambda: ThreadPoolExecutor(1, "memories_async batch"), init=False
    )
    error: Exception | None = field(default=None, init=False)

    async def some(self) -> list[Item[K, T]]:
        return await asyncio.get_running_loop().run_in_executor(self.thread, self._next)

    def _next(self) -> list[Item[K, T]]:
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
            self.error = error  # what it brought before comes first
        return found

    async def aclose(self) -> None:
        close = getattr(self.items, "close", None)
        if close is not None:
            # In the thread that read them, and not before it has read its last.
            self.thread.submit(close)
        self.thread.shutdown(wait=False)


@define(eq=False)
class _Awaited(Generic[K, T]):
    """Read as they come, one at a time: the next may be long in coming."""

    items: AsyncIterator[Item[K, T]]

    async def some(self) -> list[Item[K, T]]:
        async for item in self.items:
            return [item]
        return []

    async def aclose(self) -> None:
        close: Any = getattr(self.items, "aclose", None)
        if close is not None:
            await close()
