"""Carries one HTTP request: one complete reply, or the error that says whether it may be billed.

Two transports do it. `DirectTransport` writes the request itself, over aiohttp's connector and parser;
`ReferenceTransport` uses aiohttp's session. Whether a failed request may be billed depends on whether
its first byte was sent, never on the type of an exception.
"""

from __future__ import annotations

import asyncio
import os
import ssl as tls
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError
from attrs import define, field

from memories_async._http.attempt import KEEP_ALIVE, Attempt, AttemptProgress, StaleConnectionError
from memories_async._http.download import save
from memories_async._http.failures import build_error
from memories_async._http.multipart import EncodedForm, encode_form
from memories_async._protocol.call import Body, Form, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.media import MB

MAX_REPLY = 8 * MB
"""Bytes of a reply, uncompressed, that are read at most."""
MAX_HEADER = 64 * 1024
"""Bytes of the status line and of each header of a reply that are read at most."""
MAX_KEPT_HEADER = 8 * 1024
"""Characters of a header that a `Reply` keeps at most."""


class Transport(Protocol):
    """Sends requests. It never repeats one and never follows a redirect."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        ...


class Closable(Protocol):
    """A session or a pool of connections."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        ...

    def close(self) -> Awaitable[None]:
        """Close it."""
        ...


S = TypeVar("S", bound=Closable)


async def _hold(open_session: Callable[[], S]) -> AsyncGenerator[S]:
    session = open_session()
    try:
        yield session
    finally:
        await session.close()
        # Transports are closed in the loop's next cycle.
        await asyncio.sleep(0)


@define(eq=False)
class Sessions(Generic[S]):
    """One session, or pool of connections, for each event loop: opened at first use, closed with it.

    It is held by an asynchronous generator. The loop finishes the generator when it shuts down (at
    the end of `asyncio.run`, for example), which closes the session also if nobody called `aclose`.
    *open_session* must not suspend, or two tasks would both open one.
    """

    open_session: Callable[[], S]
    _open: dict[asyncio.AbstractEventLoop, tuple[S, AsyncGenerator[S]]] = field(
        factory=dict[Any, Any], init=False
    )

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> S:
        """Return the session of the running loop; open it if there is none."""
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is not None and not opened[0].closed:
            return opened[0]
        for other in [*self._open]:
            if other.is_closed():
                # Another thread may have removed it first.
                self._open.pop(other, None)
        holder = _hold(self.open_session)
        session = await anext(holder)
        self._open[loop] = session, holder
        return session

    async def aclose(self) -> None:
        """Close this loop's session, and schedule the other running loops to close theirs."""
        loop = asyncio.get_running_loop()
        for other, (_, holder) in [*self._open.items()]:
            self._open.pop(other, None)
            if other is loop:
                await holder.aclose()
            elif other.is_running():
                asyncio.run_coroutine_threadsafe(_finish(holder), other)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, the sessions of the parent without closing them."""
        # Closing one would remove its sockets from the selector, which parent and child share.
        _inherited.append(self._open)
        self._open = {}


async def _finish(holder: AsyncGenerator[Closable]) -> None:
    await holder.aclose()


_all: WeakSet[Sessions[Any]] = WeakSet()
_inherited: list[object] = []


def _reset_all_after_fork() -> None:
    for sessions in _all:
        sessions.reset_after_fork()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_reset_all_after_fork)


class HttpTransport:
    """What both transports share: how an attempt ends. A subclass exchanges request and reply."""

    async def carry(self, attempt: Attempt) -> Reply:
        """See `Transport.carry`."""
        loop = asyncio.get_running_loop()
        started, progress = loop.time(), AttemptProgress(attempt, loop)
        try:
            while True:
                try:
                    return await self.exchange(progress)
                except StaleConnectionError:
                    continue
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the response, which refers to the request's headers.
            outcome: MemoriesError = error.with_traceback(None)
        except (
            *(aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError),
        ) as error:
            seconds = loop.time() - started
            outcome = build_error(error, url=attempt.url, sent=progress.has_sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None
        # Raised outside the handlers: aiohttp's exception, which holds the key, is not its context.
        raise outcome

    async def exchange(self, progress: AttemptProgress) -> Reply:
        """Send the request and read its reply; raise what aiohttp raises."""
        raise NotImplementedError


def open_connector(ssl: tls.SSLContext | None) -> aiohttp.TCPConnector:
    """Open a pool that has no limit of its own, and keeps no connection that may be stale."""
    trust = ssl if ssl is not None else True
    return aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=trust)


def encode_body(body: Body) -> tuple[bytes | EncodedForm, dict[str, str]]:
    """Return the body as it is sent, and the headers that describe it; read no file yet."""
    if isinstance(body, Form):
        form = encode_form(body)
        return form, {"Content-Type": form.content_type, "Content-Length": str(form.size)}
    if body is None:
        return b"", {}
    encoded = body.encode()
    kind = "application/json" if isinstance(body, Json) else "application/x-www-form-urlencoded"
    return encoded, {"Content-Type": kind, "Content-Length": str(len(encoded))}


async def read_reply(
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    progress: AttemptProgress,
) -> Reply:
    """Read the body of a reply, or save it where the call wants a file."""
    target, saved = progress.attempt.save_to, None
    if target is not None and status == HTTPStatus.OK:
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        # A failure is JSON, and text is a proxy's page: both are read like every other reply.
        if content_type != "application/json" and not content_type.startswith("text/"):
            saved = await save(content.iter_any(), target, progress.extend_limit)
    return Reply(
        status=status,
        body=b"" if saved else await _read_bounded(status, headers, content, progress),
        headers=_keep_headers(headers),
        at=time.time(),
        saved=saved,
    )


def _keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case names: the first of each, and no cookies."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        # aiohttp decodes bytes that are no UTF-8 to surrogates, which cannot be encoded again.
        text = value if value.isascii() else value.encode("utf-8", "replace").decode()
        kept.setdefault(name.lower(), text[:MAX_KEPT_HEADER])
    kept.pop("set-cookie", None)
    return kept


async def _read_bounded(
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    progress: AttemptProgress,
) -> bytes:
    pieces: list[bytes] = []
    size, is_cut = 0, False
    # Not `iter_any`, whose machinery costs as much again for a reply of one piece.
    while not is_cut and not content.at_eof():
        try:
            pieces.append(await content.readany())
        except aiohttp.ClientPayloadError:
            is_cut = True
            continue
        size += len(pieces[-1])
        if size > MAX_REPLY:
            raise OutcomeUnknown(f"the reply is longer than {MAX_REPLY:,} bytes", status=status)
    if is_cut:
        # Raised outside the handler, because aiohttp's exception holds the key. What came is kept.
        raise OutcomeUnknown(
            f"the answer of {urlsplit(progress.attempt.url).netloc} broke off",
            headers=_keep_headers(headers),
            body=b"".join(pieces),
            transient=True,
        )
    return b"".join(pieces)
