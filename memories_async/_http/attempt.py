"""One attempt at a call: what is to be sent, and, by aiohttp's trace signals, what has left.

A `TraceConfig` would send each request six signals, four of them to nobody, for 16 us. A request
that is given its traces itself signals what is asked for, to whom it concerns, for 4 us.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.tracing import Trace
from attrs import define, field, frozen

from memories_async._http.deadline import Until
from memories_async._protocol.call import Body, Progress
from memories_async._protocol.keys import Key

if TYPE_CHECKING:
    from yarl import URL

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Request:
    """One attempt."""

    url: str
    body: Body
    key: Key
    method: str = "POST"
    progress: Progress | None = field(default=None, repr=False)
    save_to: Path | None = None
    connect_timeout: float
    timeout: float
    """Seconds of silence that end the attempt once it is connected."""
    deadline: float | None
    """The loop's time by which everything must be over."""
    left: Callable[[], None] | None = field(default=None, repr=False)
    """Called as the headers leave: a turn is spent then, not while a connection is made."""


@define(eq=False)
class Departure(Trace):
    """What aiohttp's signals told of one attempt; moves the clock while bytes move.

    It has nothing of the trace it descends from: a signal it does not know of fails the request,
    before anything was sent, and is not missed.
    """

    request: Request
    loop: AbstractEventLoop
    clock: Until = field(init=False)
    sent: bool = False
    size: int = 0
    """Bytes of the body, known before it leaves."""
    gone: int = 0

    def begun(self) -> Until:
        """Give it the time to connect."""
        self.clock = Until(self._time_in(self.request.connect_timeout))
        return self.clock

    async def send_request_headers(self, method: str, url: URL, headers: Any) -> None:  # noqa: ARG002
        """Note that the service may have seen the request from here on."""
        self.sent = True
        if self.request.left is not None:
            self.request.left()
        self.moved()

    async def send_request_chunk_sent(self, method: str, url: URL, chunk: bytes) -> None:  # noqa: ARG002
        """Count what left, for whoever watches the upload."""
        self.moved()
        if self.request.progress is None:
            return
        self.gone += len(chunk)
        try:
            self.request.progress(self.gone, self.size)
        except Exception:
            # Who watches must not break an upload that may be billed.
            log.exception("a progress callback raised")

    async def once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Let the request out, but not twice: aiohttp repeats a GET by itself, also a billed one."""
        if self.sent:
            raise aiohttp.ServerDisconnectedError
        return await handler(request)

    def moved(self) -> None:
        """Start the seconds of silence anew."""
        self.clock.move(self._time_in(self.request.timeout))

    def _time_in(self, seconds: float) -> float:
        then, deadline = self.loop.time() + seconds, self.request.deadline
        return then if deadline is None or then < deadline else deadline


_listeners: ContextVar[list[Trace]] = ContextVar("_listeners")


@contextmanager
def heard(departure: Departure) -> Generator[None]:
    """Have requests that are made meanwhile signal to *departure*."""
    listeners: list[Trace] = [departure]
    token = _listeners.set(listeners)
    try:
        yield
    finally:
        _listeners.reset(token)
        # A connection that was opened keeps a copy of this context for as long as it lives.
        listeners.clear()


class WatchedRequest(aiohttp.ClientRequest):
    """A request that signals to the attempt under way, and to nobody else."""

    def __init__(self, method: str, url: URL, **settings: Any) -> None:
        settings["traces"] = _listeners.get()
        super().__init__(method, url, **settings)
