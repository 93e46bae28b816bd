"""The receiver on aiohttp: mounted as a sub-application, or served on a port of its own.

`serve` limits how long a connection may be idle and how many there are: aiohttp.web alone keeps a
connection that sends its headers slowly, or nothing at all, for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from attrs import define, field

from memories_async._protocol.network import Address, is_loopback
from memories_async.events import CallLogger
from memories_async.receiver._callback_service import CallbackService, RequestHead, handle

HEAD_SECONDS = 5.0
"""Seconds that a connection may be open, at first or between requests, without a complete head."""
MAX_CONNECTIONS = 512
"""Connections at once; further ones are closed unread."""
MAX_HEADER = 64 * 1024
"""Bytes of the longest header or URL: a proxy may add long ones."""
_BUFFER_SIZE = 16 * 1024
_LINGER_SECONDS = 1.0

BROKEN = (OSError, HttpProcessingError, web.RequestPayloadError)
"""What a body raises whose sender closed the connection, or did not keep to HTTP."""

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

log: CallLogger = CallLogger(logging.getLogger(__name__))
_http_log = logging.getLogger("memories_async.receiver.http")


def make_handler(open_service: Callable[[], CallbackService]) -> Handler:
    """Make the function that aiohttp calls for each request."""

    async def answer_request(request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        head = RequestHead(method=request.method, path=request.path, headers=headers)
        try:
            # Most bodies come in one piece with their head, so they are there already.
            is_complete = request.content.is_eof()
            body = request.content.read_nowait() if is_complete else _read_chunks(request)
            answer = await handle(open_service, head, body)
        except BROKEN:
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return web.Response(status=answer.status, headers=answer.headers)

    return answer_request


async def _read_chunks(request: web.BaseRequest) -> AsyncIterator[bytes]:
    expects = request.headers.get("Expect", "").lower() == "100-continue"
    if expects and request.version >= HttpVersion11 and request.transport is not None:
        # Only now: a sender without a good token is not asked for its body.
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        yield chunk


def make_application(open_service: Callable[[], CallbackService]) -> web.Application:
    """Make the application that `add_subapp` mounts."""
    answer_request = make_handler(open_service)

    async def answer_and_drain(request: web.Request) -> web.StreamResponse:
        response = await answer_request(request)
        if "Content-Encoding" in request.headers:
            await _drain(request)
        return response

    async def ignore_expect(_: web.Request) -> None:
        """Leave it to `_read_chunks` to ask for the body, once the token is seen."""

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer_and_drain, expect_handler=ignore_expect)
    return app


async def _drain(request: web.Request) -> None:
    """Read what is left of a compressed body.

    The server of the application decompresses it, and would print a traceback after the answer for
    a body that it cannot decompress.
    """
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in request.content.iter_any():
                pass
    except TimeoutError:
        return
    except BROKEN:
        request.content.feed_eof()


@asynccontextmanager
async def serve(handle: Handler, host: str, port: int) -> AsyncGenerator[Address]:
    """Answer requests by *handle* on a port (0: a free one) while the context is open."""
    if not is_loopback(host):
        log.warning("the callback receiver listens on %s, beyond this machine", host)
    connections = _Connections(handle)
    listener = await asyncio.get_running_loop().create_server(connections.accept, host, port)
    try:
        bound: tuple[str, int] = listener.sockets[0].getsockname()[:2]
        yield Address(*bound)
    finally:
        listener.close()
        await connections.server.shutdown(_LINGER_SECONDS)


@define(eq=False)
class _Connections:
    """The connections of one server."""

    handle: Handler
    server: web.Server = field(init=False)
    open: dict[asyncio.Protocol, _TimedConnection] = field(
        factory=dict[asyncio.Protocol, "_TimedConnection"], init=False
    )

    def __attrs_post_init__(self) -> None:
        # No application: a single route needs no router.
        self.server = web.Server(
            self._answer,
            access_log=None,
            keepalive_timeout=HEAD_SECONDS,
            lingering_time=_LINGER_SECONDS,
            read_bufsize=_BUFFER_SIZE,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            # The service decompresses, after it has seen the token.
            auto_decompress=False,
            logger=_http_log,
        )

    def accept(self) -> asyncio.Protocol:
        return _TimedConnection(self.server(), self.open)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = self.open.get(request.protocol)
        if connection is None:  # it was closed before its request was handled
            return web.Response(status=HTTPStatus.REQUEST_TIMEOUT)
        connection.idle_since = None
        try:
            response = await self.handle(request)
            response.headers["Server"] = "memories_async"  # no version for strangers to look up
            return response
        finally:
            connection.start_idling()


@define(eq=False)
class _TimedConnection(asyncio.Protocol):
    """A connection of aiohttp's protocol with a timeout that does not run during a request."""

    inner: asyncio.Protocol
    open: dict[asyncio.Protocol, _TimedConnection]
    transport: asyncio.Transport | None = field(default=None, init=False)
    idle_since: float | None = field(default=None, init=False)
    """The loop's time when the last request ended; None while one is being answered."""
    timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if len(self.open) >= MAX_CONNECTIONS:
            transport.abort()
            return
        self.open[self.inner] = self
        self.inner.connection_made(transport)
        self.start_idling()
        self.check_idle_time(transport)

    def start_idling(self) -> None:
        self.idle_since = asyncio.get_running_loop().time()

    def check_idle_time(self, transport: asyncio.Transport) -> None:
        """Close the connection if it is idle for too long; else check again when it could be."""
        loop = asyncio.get_running_loop()
        since = loop.time() if self.idle_since is None else self.idle_since
        left = since + HEAD_SECONDS - loop.time()
        if left > 0:
            # One timer for the whole connection: a timer for each request would cost more.
            self.timer = loop.call_later(left, self.check_idle_time, transport)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.inner in self.open:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self.inner in self.open else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.inner in self.open:
            del self.open[self.inner]
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()


def _is_ours(record: logging.LogRecord) -> bool:
    """Keep errors of HTTP out of the log: their sender is answered 400, and may be anybody."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_http_log.addFilter(_is_ours)
