"""A visit: one request on its way through the service, and what a route is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aiohttp import web
from attrs import Factory, define, field, frozen

from memories_async.local.state.accounts import Account, Purse
from memories_async.local.state.faults import Fault
from memories_async.local.state.wire import Dialect, Host

__all__ = ["Answer", "Route", "Visit"]

Order = TypeVar("Order")


@define(kw_only=True, eq=False)
class Visit:
    """A request, and what is learnt about it while it is answered."""

    request: web.Request
    callback_fault: Fault | None = None
    uploads: list[str] = field(factory=list[str])
    """SHA-256 of the files that were read."""
    ignored: tuple[str, ...] = ()
    note: str | None = None
    drafts: list[Path] = field(factory=list[Path])
    """Files to remove when the visit is over, unless they were moved to stay."""
    account: Account
    dialect: Dialect


@frozen(kw_only=True)
class Answer:
    """What a route computed."""

    content: Any
    """Goes out as `data`."""
    file: Path | None = None
    """Goes out by itself, instead."""
    item: str
    """What is paid for, on a route that costs something."""
    headers: Mapping[str, str] = Factory(dict[str, str])
    then: Callable[[Purse], Awaitable[None]] | None = None
    """To do once it is paid, before the reply goes out; the purse can pay back."""


class Route(Protocol[Order]):
    """One page of the documentation: how to read its request, and how to answer it."""

    @property
    def name(self) -> str:
        """As in `clips.search`: family, then verb."""
        ...

    @property
    def method(self) -> str:
        """HTTP's verb."""
        ...

    @property
    def path(self) -> str:
        """Where it is on its host; a part in braces is a parameter."""
        ...

    @property
    def is_free(self) -> bool:
        """Whether it costs no points."""
        ...

    @property
    def host(self) -> Host:
        """Whose envelope it speaks."""
        ...

    async def read(self, visit: Visit) -> Order:
        """Read and check the request; raises `Refusal`."""
        ...

    async def work(self, order: Order, visit: Visit, /) -> Answer:
        """Compute the answer to what was read."""
        ...
