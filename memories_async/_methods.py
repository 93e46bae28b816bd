"""Methods made from values: one line gives a client an endpoint, awaited or waited for.

`Sent` sends one call, `Ran` runs a flow of several, `Paged` goes through the pages of a listing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from attrs import frozen

from memories_async._calls import Call
from memories_async._ports import AsyncSender, BlockingSender
from memories_async.videos import Page, Video

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class AsyncView:
    """A group of methods to await."""

    client: AsyncSender


@frozen
class BlockingView:
    """A group of methods that block."""

    client: BlockingSender


class Sent(Generic[P, T]):
    """A method that builds a call and sends it: awaited or waited for, as its view does."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        if view is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return view.client.send(self._build(*args, **kwargs))

        return update_wrapper(method, self._build)


class Ran(Generic[P, T]):
    """A method made of several calls: a coroutine function whose first parameter is the client."""

    def __init__(self, flow: Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]) -> None:
        self._flow = flow

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        if view is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            def flow(client: AsyncSender) -> Coroutine[Any, Any, T]:
                return self._flow(client, *args, **kwargs)

            return flow(view.client) if isinstance(view, AsyncView) else view.client.run(flow)

        return update_wrapper(method, self._flow)


class Paged(Generic[P]):
    """A listing as an iterator: each page is asked for when it is needed."""

    def __init__(self, build: Callable[P, Call[Page]]) -> None:
        self._build = build

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, AsyncIterator[Video]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, Iterator[Video]]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        if view is None:
            return self
        iterate: Any = _iterate_async if isinstance(view, AsyncView) else _iterate

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return iterate(view.client, self._build(*args, **kwargs))

        return update_wrapper(method, self._build)


async def _iterate_async(client: AsyncSender, call: Call[Page]) -> AsyncIterator[Video]:
    following: Call[Page] | None = call
    while following is not None:
        page = await client.send(following)
        for video in page.videos:
            yield video
        following = page.after(following)


def _iterate(client: BlockingSender, call: Call[Page]) -> Iterator[Video]:
    following: Call[Page] | None = call
    while following is not None:
        page = client.send(following)
        yield from page.videos
        following = page.after(following)
