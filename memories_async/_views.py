"""The clients' methods, built from the modules that describe the calls: one line for each endpoint."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from attrs import frozen

from memories_async import captions, clips, embeddings
from memories_async._calls import Call
from memories_async._ports import CallbackIssuer

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSender(Protocol):
    """A client whose `send` is awaited; what a flow of several calls is given."""

    async def send(self, call: Call[T], /, *, fresh: bool = False) -> T: ...

    @property
    def receiver(self) -> CallbackIssuer | None: ...


class BlockingSender(Protocol):
    """A client whose `send` is waited for, and which runs flows on its own loop."""

    def send(self, call: Call[T], /, *, fresh: bool = False) -> T: ...

    def run(self, flow: Callable[[AsyncSender], Coroutine[Any, Any, T]], /) -> T: ...


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


class _Clips:
    search: Final = Sent(clips.search)


class _Captions:
    upload: Final = Sent(captions.upload)
    upload_file: Final = Sent(captions.upload_file)


class _Embeddings:
    video: Final = Sent(embeddings.video)


class Clips(_Clips, AsyncView):
    """Search Clips by Image."""


class Captions(_Captions, AsyncView):
    """Video Caption."""


class Embeddings(_Embeddings, AsyncView):
    """Generate Video Embedding."""


class BlockingClips(_Clips, BlockingView):
    """Search Clips by Image."""


class BlockingCaptions(_Captions, BlockingView):
    """Video Caption."""


class BlockingEmbeddings(_Embeddings, BlockingView):
    """Generate Video Embedding."""
