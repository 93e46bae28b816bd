"""The receiver on a port of its own, with a clock and a cap for every connection.

aiohttp.web alone keeps a connection that sends its headers slowly, or nothing, for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from attrs import define, field

from memories_async._protocol.network import Address, is_loopback
from memories_async.receiver._web import Handler

HEAD_SECONDS = 5.0
"""How long a connection may be open, at first or between requests, without a complete head."""
CONNECTIONS = 512
"""Connections at once; further ones are closed unheard."""
_BUFFER = 16 * 1024
_LINGER = 1.0

log: logging.Logger = logging.getLogger(__name__)
_http_log = logging.getLogger("memories_async.receiver.http")


@define(eq=False)
class _Guarded(asyncio.Protocol):
    """One connection: aiohttp's own protocol, and a clock that stands still during a request."""

    inner: asyncio.Protocol
    open: dict[asyncio.Protocol, _Guarded]
    transport: asyncio.Transport | None = field(default=None, init=False)
    idle_since: float | None = field(default=None, init=False)
    """The loop's time when the last request ended; None while one is being answered."""
    clock: asyncio.TimerHandle | None = field(default=None, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if len(self.open) >= CONNECTIONS:
            transport.abort()
            return
        self.open[self.inner] = self
        self.inner.connection_made(transport)
        self.rest()
        self.look(transport)

    def rest(self) -> None:
        self.idle_since = asyncio.get_running_loop().time()

    def look(self, transport: asyncio.Transport) -> None:
        """Look whether the time is over: once in a while, since a timer for each request costs."""
        loop = asyncio.get_running_loop()
        since = loop.time() if self.idle_since is None else self.idle_since
        left = since + HEAD_SECONDS - loop.time()
        if left > 0:
            self.clock = loop.call_later(left, self.look, transport)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.inner in self.open:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self.inner in self.open else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.clock is not None:
            self.clock.cancel()
        if self.inner in self.open:
            del self.open[self.inner]
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


@define(eq=False)
class _Guards:
    """The connections of one server, and the handler inside their clocks."""

    handle: Handler
    server: web.Server = field(init=False)
    open: dict[asyncio.Protocol, _Guarded] = field(
        factory=dict[asyncio.Protocol, _Guarded], init=False
    )

    def __attrs_post_init__(self) -> None:
        # No application: one route needs no router.
        self.server = web.Server(
            self.watch,
            access_log=None,
            keepalive_timeout=HEAD_SECONDS,
            lingering_time=_LINGER,
            read_bufsize=_BUFFER,
            logger=_http_log,
        )

    def accept(self) -> asyncio.Protocol:
        return _Guarded(self.server(), self.open)

    async def watch(self, request: web.BaseRequest) -> web.StreamResponse:
        guarded = self.open.get(request.protocol)
        if guarded is None:  # it was lost before its request had its turn
            return web.Response(status=HTTPStatus.REQUEST_TIMEOUT)
        guarded.idle_since = None
        try:
            response = await self.handle(request)
            response.headers["Server"] = "memories_async"  # no version for strangers to look up
            return response
        finally:
            guarded.rest()


@asynccontextmanager
async def serve(handle: Handler, host: str, port: int) -> AsyncGenerator[Address]:
    """Answer requests by *handle* on a port (0: a free one) while the context is open."""
    if not is_loopback(host):
        log.warning("the callback receiver listens on %s, beyond this machine", host)
    guards = _Guards(handle)
    listening = await asyncio.get_running_loop().create_server(guards.accept, host, port)
    try:
        bound: tuple[str, int] = listening.sockets[0].getsockname()[:2]
        yield Address(*bound)
    finally:
        listening.close()
        await guards.server.shutdown(_LINGER)


def _is_ours(record: logging.LogRecord) -> bool:
    """Leave out what strangers get wrong in HTTP: their answer is 400, and the log is not theirs."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_http_log.addFilter(_is_ours)
