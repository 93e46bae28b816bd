"""Methods made from values: one line gives a client an endpoint, awaited or waited for.

`Sent` sends one call, `Ran` runs a flow of several, `Paged` goes through the pages of a listing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from inspect import Parameter, signature
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from attrs import define

from memories_async._client.ports import AsyncSender, BlockingSender
from memories_async._protocol.call import Call
from memories_async.videos import Page, Video

P = ParamSpec("P")
T = TypeVar("T")


@define(eq=False)
class AsyncView:
    """A group of methods to await."""

    client: AsyncSender


@define(eq=False)
class BlockingView:
    """A group of methods that block."""

    client: BlockingSender


def _described(method: Callable[..., Any], build: Callable[..., Any]) -> Callable[..., Any]:
    """Have *method*, once bound to its view, look like *build*; done once, not for each call."""
    shown = signature(build)
    view = Parameter("self", Parameter.POSITIONAL_ONLY)
    update_wrapper(method, build)
    vars(method)["__signature__"] = shown.replace(parameters=(view, *shown.parameters.values()))
    return method


class Sent(Generic[P, T]):
    """A method that builds a call and sends it: awaited or waited for, as its view does."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        def method(view: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            return view.client.send(build(*args, **kwargs))

        self._method = _described(method, build)

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        return self if view is None else MethodType(self._method, view)


class Ran(Generic[P, T]):
    """A method made of several calls: a coroutine function whose first parameter is the client."""

    def __init__(self, flow: Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]) -> None:
        def method(view: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            def run(client: AsyncSender) -> Coroutine[Any, Any, T]:
                return flow(client, *args, **kwargs)

            return run(view.client) if isinstance(view, AsyncView) else view.client.run(run)

        # Its first parameter, the client, is shown as a method's own, that is, not at all.
        self._method = update_wrapper(method, flow)

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        return self if view is None else MethodType(self._method, view)


class Paged(Generic[P]):
    """A listing as an iterator: each page is asked for when it is needed."""

    def __init__(self, build: Callable[P, Call[Page]]) -> None:
        def method(view: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
            iterate: Any = _iterate_async if isinstance(view, AsyncView) else _iterate
            return iterate(view.client, build(*args, **kwargs))

        self._method = _described(method, build)

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, view: AsyncView, owner: type[Any]) -> Callable[P, AsyncIterator[Video]]: ...
    @overload
    def __get__(self, view: BlockingView, owner: type[Any]) -> Callable[P, Iterator[Video]]: ...
    def __get__(self, view: Any, owner: type[Any]) -> Any:
        return self if view is None else MethodType(self._method, view)


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
