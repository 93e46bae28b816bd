"""Reads a batch's calls from a mapping, an iterable or an async iterable, a bounded number ahead."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from attrs import define, field

from memories_async._protocol.call import Call
from memories_async._protocol.flow import Flow

K = TypeVar("K")
T = TypeVar("T")
Builder: TypeAlias = Callable[[], Call[T]] | Callable[[], Flow[T]] | Callable[[], Call[T] | Flow[T]]
Item: TypeAlias = tuple[K, Call[T] | Flow[T] | Builder[T]]
Calls: TypeAlias = (
    Mapping[K, Call[T]]
    | Mapping[K, Flow[T]]
    | Mapping[K, Builder[T]]
    | Iterable[tuple[K, Call[T]]]
    | Iterable[tuple[K, Flow[T]]]
    | Iterable[tuple[K, Builder[T]]]
    | Iterable[Item[K, T]]
    | AsyncIterable[tuple[K, Call[T]]]
    | AsyncIterable[tuple[K, Flow[T]]]
    | AsyncIterable[tuple[K, Builder[T]]]
    | AsyncIterable[Item[K, T]]
)
"""Calls or flows, or functions that build them, under keys of the caller's."""

AHEAD = 512
"""The largest number of items that are read before they are asked for."""


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


def iterate_pairs(calls: Any) -> Iterable[Item[Any, Any]]:
    """Iterate over the pairs of a mapping or of a plain iterable."""
    found: Any = calls
    if isinstance(calls, Mapping):
        found = found.items()
    items: Iterable[Item[Any, Any]] = found
    return items


def build_call(call: Call[T] | Flow[T] | Builder[T]) -> Call[T] | Flow[T]:
    """Return the call or flow of an item, building it where the item has a function."""
    built = call() if callable(call) else call
    if not isinstance(built, Call | Flow):  # pyright: ignore[reportUnnecessaryIsInstance]  # of a caller
        raise TypeError(
            f"an item must be (key, call) or (key, builder), not {type(built).__name__}"
        )
    return built


@define(eq=False)
class DaemonThread:
    """Runs functions one after another in a thread that does not keep the process from ending.

    A caller's iterable may block for ever; threads of asyncio's executor are waited for at exit.
    """

    _jobs: SimpleQueue[Callable[[], None] | None] = field(factory=SimpleQueue[Any], init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    async def run(self, function: Callable[[], T]) -> T:
        """Run *function* in the thread and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def resolve(value: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]  # None is a value where T is None

        run = copy_context().run  # its spans, say, belong where the batch was entered

        def job() -> None:
            value, error = None, None
            try:
                value = run(function)
            except BaseException as caught:  # noqa: BLE001  # raised where the function was asked for
                error = caught
            with suppress(RuntimeError):  # the loop is closed: nobody waits there
                loop.call_soon_threadsafe(resolve, value, error)

        if self._thread is None:
            thread = threading.Thread(
                target=_run_jobs, args=(self._jobs,), name="memories_async batch", daemon=True
            )
            thread.start()
            self._thread = thread
        self._jobs.put(job)
        return await future

    def end(self) -> None:
        """End the thread once it is free; do not wait for it."""
        self._jobs.put(None)


def _run_jobs(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()


@define(eq=False)
class _ThreadSource(Generic[K, T]):
    """Reads an iterable in a thread of its own: it may open files, query a database, or block.

    The thread does not keep the process from ending. It reads at most `AHEAD` items ahead.
    """

    items: Iterator[Item[K, T]]
    _found: deque[Item[K, T]] = field(factory=deque[Any], init=False)
    """Items are added and taken without the lock, which takes longer than a whole item may."""
    _error: BaseException | None = field(default=None, init=False)
    _is_ended: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _wake: Callable[[], object] | None = field(default=None, init=False)
    """Wakes the reader that waits for an item."""

    async def read(self) -> list[Item[K, T]]:
        if self._thread is None:
            thread = threading.Thread(
                target=copy_context().run,
                args=(self._run,),
                name="memories_async batch",
                daemon=True,
            )
            thread.start()
            self._thread = thread
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            self._wake = partial(loop.call_soon_threadsafe, woken.set)
            # Looked at after it can be woken: an item that comes meanwhile wakes it.
            if self._found or self._is_ended:
                self._wake = None
                woken.set()
        await woken.wait()
        found = [self._found.popleft() for _ in range(len(self._found))]
        with self._changed:
            self._changed.notify()
        if not found and self._error is not None:
            raise self._error
        return found

    def _run(self) -> None:
        try:
            for item in self.items:
                self._found.append(item)
                if self._wake is not None:
                    self._wake_reader()
                if len(self._found) >= AHEAD:
                    with self._changed:
                        while len(self._found) >= AHEAD and not self._is_closed:
                            self._changed.wait()
                if self._is_closed:
                    break
        except BaseException as error:  # noqa: BLE001  # raised to the reader; `sys.exit`, too
            self._error = error
        with self._changed:
            self._is_ended = True
            self._wake_reader()
        close = getattr(self.items, "close", None)
        if close is not None:
            close()

    def _wake_reader(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits there
                wake()

    async def aclose(self) -> None:
        # The thread closes the iterator, when that has returned its next item.
        with self._changed:
            self._is_closed = True
            self._changed.notify()


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
