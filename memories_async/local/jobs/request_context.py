"""What a route gets and returns: the context of a request, and its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aiohttp import web
from attrs import Factory, define, field, frozen

from memories_async.local.state.accounts import Account, Hold
from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import Dialect, RouteHost

__all__ = ["RequestContext", "Route", "RouteAnswer"]

Order = TypeVar("Order")


@define(kw_only=True, eq=False)
class RequestContext:
    """A request, and what is found out while it is answered."""

    request: web.Request
    account: Account
    dialect: Dialect
    callback_fault: Fault | None = None
    uploads: list[str] = field(factory=list[str])
    """SHA-256 of the files that were read."""
    ignored: tuple[str, ...] = ()
    """Words of the prompt that the engine did not act on."""
    ignored_fields: tuple[str, ...] = ()
    """Names of the fields that the service did not act on."""
    note: str | None = None
    """Where the embedded service behaves differently from the real one."""
    drafts: list[Path] = field(factory=list[Path])
    """Files to delete at the end of the request, unless they were moved."""

    def ignore_fields(self, given: Iterable[str], known: Collection[str]) -> None:
        """Note which of the *given* fields the service does not act on: those that are not *known*."""
        self.ignored_fields = tuple(dict.fromkeys(name for name in given if name not in known))


@frozen(kw_only=True)
class RouteAnswer:
    """What a route computed."""

    content: Any
    """`data` of the reply."""
    file: Path | None = None
    """A file to send instead."""
    item: str
    """What is paid for, on a route that is not free."""
    headers: Mapping[str, str] = Factory(dict[str, str])
    then: Callable[[Hold], Awaitable[None]] | None = None
    """Called once the request is paid, before the reply is sent; it can refund the hold."""


class Route(Protocol[Order]):
    """One endpoint of the documentation: how its request is read and answered."""

    @property
    def name(self) -> str:
        """Name of the route, as in `clips.search`."""
        ...

    @property
    def family(self) -> str:
        """Endpoint family whose rate limit applies, by the names of `memories_async.Limits`."""
        ...

    @property
    def method(self) -> str:
        """HTTP method."""
        ...

    @property
    def path(self) -> str:
        """Path on its host; a part in braces is a parameter."""
        ...

    @property
    def is_free(self) -> bool:
        """Whether it costs no points."""
        ...

    @property
    def host(self) -> RouteHost:
        """Host whose envelope it uses."""
        ...

    async def read(self, context: RequestContext) -> Order:
        """Read and check the request; raises `Refusal`."""
        ...

    async def work(self, order: Order, context: RequestContext, /) -> RouteAnswer:
        """Compute the answer to a request that was read."""
        ...
