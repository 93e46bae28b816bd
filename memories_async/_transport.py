"""The wire: one request, one complete reply, or the one error that tells what became of it.

The only user of aiohttp's client. Whether a failed request may have been billed is decided by
aiohttp's trace signals (did a header leave?), for its exception types cannot tell.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import aiohttp
from attrs import define, field, frozen

from memories_async import _multipart
from memories_async._calls import Body, Fields, Form, Json, Progress
from memories_async._failures import failure
from memories_async._keys import Key
from memories_async._replies import Reply
from memories_async._saving import save
from memories_async._sessions import Sessions
from memories_async._until import Until
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.media import MB

MAX_REPLY = 8 * MB
"""Bytes of a reply, unpacked, that are read at most."""
KEEP_ALIVE = 2.0
"""Seconds that an idle connection is kept: a billed POST never rides one that may be stale."""
log = logging.getLogger(__name__)
_KEPT_HEADERS = ("content-type", "date", "location", "retry-after", "retry-after-ms")


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


class Transport(Protocol):
    """Carries one request; never repeats it, never follows a redirect."""

    async def carry(self, request: Request) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close what was opened; may be called twice."""
        ...


@define(eq=False)
class _Progress:
    """What aiohttp's signals told of one attempt; moves the clock while bytes move."""

    request: Request
    clock: Until = field(init=False)
    sent: bool = False
    size: int = 0
    """Bytes of the body, known before it leaves."""
    gone: int = 0

    def headers_left(self) -> None:
        """Note that the service may have seen the request from here on."""
        self.sent = True
        if self.request.left is not None:
            self.request.left()
        self.moved()

    async def once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Let the request out, but not twice: aiohttp repeats a GET by itself, also a billed one."""
        if self.sent:
            raise aiohttp.ServerDisconnectedError
        return await handler(request)

    def chunk_left(self, size: int) -> None:
        """Count what left, for whoever watches the upload."""
        self.moved()
        self.gone += size
        if self.request.progress is None:
            return
        try:
            self.request.progress(self.gone, self.size)
        except Exception:
            # Who watches must not break an upload that may be billed.
            log.exception("a progress callback raised")

    def moved(self) -> None:
        """Start the seconds of silence anew."""
        self.clock.move(_time_in(self.request, self.request.timeout))


def _time_in(request: Request, seconds: float) -> float:
    then = asyncio.get_running_loop().time() + seconds
    return then if request.deadline is None else min(then, request.deadline)


class AiohttpTransport:
    """The transport over aiohttp. Opens nothing before the first request."""

    def __init__(
        self, *, user_agent: str, proxy: str | None = None, ssl: tls.SSLContext | None = None
    ) -> None:
        self._user_agent = user_agent
        self._proxy = proxy
        self._ssl = ssl
        self._sessions = Sessions(self._open)

    async def carry(self, request: Request) -> Reply:
        """See `Transport.carry`."""
        outcome = await self._attempt(request)
        # Raised here, not where it was found: aiohttp's exception, which holds the key, stays behind.
        if isinstance(outcome, MemoriesError):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._sessions.aclose()

    async def _attempt(self, request: Request) -> Reply | MemoriesError:
        loop = asyncio.get_running_loop()
        begun, progress = loop.time(), _Progress(request)
        try:
            session = await self._sessions.current()
            if not isinstance(request.body, Form):
                return await self._exchange(session, progress, *_plain(request.body))
            async with _laid_out(request.body) as (body, headers):
                progress.size = int(headers["Content-Length"])
                return await self._exchange(session, progress, body, headers)
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the reply, which knows the request's headers.
            return error.with_traceback(None)
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            seconds = loop.time() - begun
            return failure(error, url=request.url, sent=progress.sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        progress: _Progress,
        body: bytes | _multipart.Stream | None,
        headers: Mapping[str, str],
    ) -> Reply:
        request = progress.request
        with Until(_time_in(request, request.connect_timeout)) as progress.clock:
            async with session.request(
                request.method,
                request.url,
                data=body,
                headers={**headers, "Authorization": request.key.reveal()},
                allow_redirects=False,
                proxy=self._proxy,
                trace_request_ctx=progress,
                # A POST is never repeated, so it goes without.
                middlewares=() if request.method == "POST" else (progress.once,),
            ) as response:
                target = request.save_to
                saved = None if target is None else await _saved(response, target, progress)
                return Reply(
                    status=response.status,
                    body=b"" if saved else await _bounded(response),
                    headers={n: response.headers[n] for n in _KEPT_HEADERS if n in response.headers},
                    at=time.time(),
                    saved=saved,
                )

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEP_ALIVE, ssl=self._ssl if self._ssl is not None else True
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[_tracing()],
        )


@asynccontextmanager
async def _laid_out(
    form: Form,
) -> AsyncGenerator[tuple[bytes | _multipart.Stream, dict[str, str]]]:
    """Lay a form out for the wire, with the headers that announce it."""
    encoded = _multipart.encode(form)
    headers = {"Content-Type": encoded.content_type, "Content-Length": str(encoded.size)}
    if encoded.is_short:
        yield await _multipart.joined(encoded), headers
        return
    async with _multipart.Stream(encoded) as stream:
        yield stream, headers


def _plain(body: Json | Fields | None) -> tuple[bytes | None, dict[str, str]]:
    """Lay a body without files out."""
    if body is None:
        return None, {}
    kind = "application/json" if isinstance(body, Json) else "application/x-www-form-urlencoded"
    return body.encoded(), {"Content-Type": kind}


async def _saved(response: aiohttp.ClientResponse, target: Path, progress: _Progress) -> int | None:
    """Write a binary answer to *target*; failures are JSON, and are read like every reply."""
    # Text, too, is no file of ours, but the page of some proxy.
    told = response.content_type == "application/json" or response.content_type.startswith("text/")
    if response.status != HTTPStatus.OK or told:
        return None
    return await save(response.content.iter_any(), target, progress.moved)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    size = 0
    # Not `iter_any`, whose machinery costs as much again for a reply of one piece.
    while not response.content.at_eof():
        piece = await response.content.readany()
        size += len(piece)
        if size > MAX_REPLY:
            response.close()
            raise OutcomeUnknown(
                f"the reply is longer than {MAX_REPLY:,} bytes", status=response.status
            )
        pieces.append(piece)
    return b"".join(pieces)


async def _headers_left(_: object, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.headers_left()


async def _chunk_left(
    _: object, context: SimpleNamespace, signal: aiohttp.TraceRequestChunkSentParams
) -> None:
    context.trace_request_ctx.chunk_left(len(signal.chunk))


def _tracing() -> aiohttp.TraceConfig:
    """Build the trace that tells `_Progress` what left."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_headers_left)
    trace.on_request_chunk_sent.append(_chunk_left)
    return trace
