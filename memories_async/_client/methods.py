"""Methods made from functions: one line gives both clients an endpoint.

`EndpointMethod` sends one call or flow, `FlowMethod` runs several calls, `PagerMethod` iterates over a listing. Each is awaited
on a `View[Awaited]` and blocks on a `View[Blocking]`: the blocking form runs the awaited one on the
client's loop thread.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from inspect import Parameter, signature
from types import CoroutineType, MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from attrs import define

from memories_async._client.advice import CALL_OPTIONS, explain_arguments, explain_options
from memories_async._client.loop_thread import LoopThread
from memories_async._client.sender import Sender
from memories_async._protocol.call import Call
from memories_async._protocol.flow import Flow
from memories_async.videos import Page, Video

if sys.version_info >= (3, 12):
    from inspect import markcoroutinefunction
else:

    def markcoroutinefunction(function: Callable[..., Any]) -> None:
        """Do nothing: Python 3.11 has no such mark."""


P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


class Awaited:
    """Marks a view whose methods return coroutines."""


class Blocking:
    """Marks a view whose methods block until the answer is there."""


@define(eq=False)
class View(Generic[S]):
    """A group of methods of a client; *S* is `Awaited` or `Blocking`."""

    client: Sender
    """The asynchronous client, which sends the calls."""
    thread: LoopThread | None
    """The loop thread on which a blocking view runs them; None where they are awaited."""


def _describe(
    function: Callable[..., Any],
    like: Callable[..., Any],
    *,
    returns: str | None = None,
    doc: str | None = None,
) -> Callable[..., Any]:
    """Give *function* the name, parameters and docstring of *like*, and the type of the answer."""
    shown = signature(like)
    parameters = tuple(shown.parameters.values())
    if parameters[0].name == "client":  # a flow's own first parameter
        parameters = parameters[1:]
    view = Parameter("self", Parameter.POSITIONAL_ONLY)
    answer = returns or re.sub(r"^(?:Call|Flow)\[(.*)\]$", r"\1", shown.return_annotation)
    update_wrapper(function, like)
    function.__doc__ = doc or like.__doc__
    function.__annotations__ = {**like.__annotations__, "return": answer}
    vars(function)["__signature__"] = shown.replace(
        parameters=(view, *parameters), return_annotation=answer
    )
    return function


class _Method:
    """Binds a view to the awaited or to the blocking form of a function."""

    awaited: Callable[..., Any]
    blocking: Callable[..., Any]

    def bind(self, view: View[Any] | None) -> Callable[..., Any]:
        if view is None:
            return self.awaited
        return MethodType(self.awaited if view.thread is None else self.blocking, view)


class _Coroutine(_Method, Generic[P, T]):
    """A method that starts a coroutine."""

    def __init__(
        self,
        like: Callable[P, Any] | Callable[Concatenate[Sender, P], Any],
        start: Callable[Concatenate[Sender, P], Coroutine[Any, Any, T]],
    ) -> None:
        def awaited(view: View[Any], *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            coroutine = start(view.client, *args, **kwargs)
            if isinstance(coroutine, CoroutineType):
                # Python's warning shows it where nobody awaits, and so does the repr of a task.
                coroutine.__qualname__ = self.name
            return coroutine

        def blocking(view: View[Any], *args: P.args, **kwargs: P.kwargs) -> T:
            assert view.thread is not None
            return view.thread.wait(start(view.client, *args, **kwargs))

        self.awaited: Callable[..., Any] = _describe(awaited, like)
        self.blocking: Callable[..., Any] = _describe(blocking, like)
        markcoroutinefunction(self.awaited)
        self.name: str = like.__name__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = f"{owner.__name__.lower()}.{name}"

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Callable[..., Any]: ...
    @overload
    def __get__(
        self, view: View[Awaited], owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, view: View[Blocking], owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, view: View[Any] | None, owner: type[Any]) -> Any:
        return self.bind(view)


class EndpointMethod(_Coroutine[P, T]):
    """A method that builds one call, or a flow, and sends it."""

    def __init__(self, build: Callable[P, Call[T]] | Callable[P, Flow[T]]) -> None:
        def start(sender: Sender, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            try:
                call = build(*args, **kwargs)
            except TypeError:
                explain_arguments(self.name, build, args, kwargs, CALL_OPTIONS)
                raise
            return sender.send(call)

        super().__init__(build, start)


class FlowMethod(_Coroutine[P, T]):
    """A method made of several calls: a coroutine function whose first parameter is the sender."""

    def __init__(self, run: Callable[Concatenate[Sender, P], Coroutine[Any, Any, T]]) -> None:
        def start(sender: Sender, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            try:
                return run(sender, *args, **kwargs)
            except TypeError:
                explain_arguments(self.name, self.awaited, (None, *args), kwargs, CALL_OPTIONS)
                raise

        super().__init__(run, start)


class PagerMethod(_Method, Generic[P]):
    """A listing as an iterator: each page is requested when it is needed."""

    def __init__(self, build: Callable[P, Call[Page]], doc: str) -> None:
        build = explain_options("videos.list", CALL_OPTIONS)(build)

        async def iterate(pages: AsyncGenerator[Page]) -> AsyncIterator[Video]:
            async for page in pages:
                for video in page.videos:
                    yield video

        def awaited(view: View[Any], *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Video]:
            return iterate(_request_pages(view.client, build(*args, **kwargs)))

        def blocking(view: View[Any], *args: P.args, **kwargs: P.kwargs) -> Iterator[Video]:
            assert view.thread is not None
            pages = _request_pages(view.client, build(*args, **kwargs))
            return (video for page in view.thread.iterate(pages) for video in page.videos)

        self.awaited: Callable[..., Any] = _describe(
            awaited, build, returns="AsyncIterator[Video]", doc=doc
        )
        self.blocking: Callable[..., Any] = _describe(
            blocking, build, returns="Iterator[Video]", doc=doc
        )

    @overload
    def __get__(self, view: None, owner: type[Any]) -> Callable[..., Any]: ...
    @overload
    def __get__(
        self, view: View[Awaited], owner: type[Any]
    ) -> Callable[P, AsyncIterator[Video]]: ...
    @overload
    def __get__(self, view: View[Blocking], owner: type[Any]) -> Callable[P, Iterator[Video]]: ...
    def __get__(self, view: View[Any] | None, owner: type[Any]) -> Any:
        return self.bind(view)


async def _request_pages(sender: Sender, call: Call[Page]) -> AsyncGenerator[Page]:
    following: Call[Page] | None = call
    while following is not None:
        page = await sender.send(following)
        yield page
        following = page.after(following)
