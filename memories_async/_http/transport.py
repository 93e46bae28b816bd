"""Sends one HTTP request and returns its complete reply, or raises the error that it ended in.

This is the only module that sends requests by aiohttp's client. Whether a failed request may be
billed is decided by aiohttp's trace signals (were its headers sent?), because the types of aiohttp's
exceptions do not tell.
"""

from __future__ import annotations

import asyncio
import os
import ssl as tls
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import nullcontext
from http import HTTPStatus
from typing import Protocol
from weakref import WeakSet

import aiohttp
from aiohttp.hdrs import AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT
from attrs import define, field

from memories_async._http.attempt import (
    KEEP_ALIVE,
    Attempt,
    AttemptTrace,
    StaleConnectionError,
    TracedRequest,
    trace_requests,
)
from memories_async._http.download import save
from memories_async._http.failures import build_error
from memories_async._http.multipart import FormStream, encode_form
from memories_async._protocol.call import Body, Form, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.media import MB

MAX_REPLY = 8 * MB
"""Bytes of a reply, uncompressed, that are read at most."""
_KEPT_HEADERS = ("content-type", "date", "location", "retry-after", "retry-after-ms")


class Transport(Protocol):
    """Sends requests. It never repeats one and never follows a redirect."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        ...


_Holder = AsyncGenerator[aiohttp.ClientSession]
_OpenSessions = dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, _Holder]]


async def _hold(open_session: Callable[[], aiohttp.ClientSession]) -> _Holder:
    session = open_session()
    try:
        yield session
    finally:
        await session.close()
        # Transports are closed in the loop's next cycle.
        await asyncio.sleep(0)


@define(eq=False)
class Sessions:
    """The sessions of one client: one for each event loop, opened at first use, closed with its loop.

    A session is held by an asynchronous generator. The loop finishes the generator when it shuts
    down (at the end of `asyncio.run`, for example), which closes the session also if nobody called
    `aclose`. *open_session* must not suspend, or two tasks would both open one.
    """

    open_session: Callable[[], aiohttp.ClientSession]
    _open: _OpenSessions = field(factory=_OpenSessions, init=False)

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> aiohttp.ClientSession:
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


async def _finish(holder: _Holder) -> None:
    await holder.aclose()


_all: WeakSet[Sessions] = WeakSet()
_inherited: list[_OpenSessions] = []


def _reset_all_after_fork() -> None:
    for sessions in _all:
        sessions.reset_after_fork()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_reset_all_after_fork)


class AiohttpTransport:
    """The transport over aiohttp. It opens nothing before the first request."""

    def __init__(self, *, user_agent: str, ssl: tls.SSLContext | None = None) -> None:
        self._user_agent = user_agent
        self._ssl = ssl
        self._sessions = Sessions(self._open_session)

    async def carry(self, attempt: Attempt) -> Reply:
        """See `Transport.carry`."""
        loop = asyncio.get_running_loop()
        started, trace = loop.time(), AttemptTrace(attempt, loop)
        try:
            session = await self._sessions.current()
            while True:
                try:
                    return await self._send(session, trace)
                except StaleConnectionError:
                    continue
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the response, which refers to the request's headers.
            outcome: MemoriesError = error.with_traceback(None)
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            seconds = loop.time() - started
            outcome = build_error(error, url=attempt.url, sent=trace.has_sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None
        # Raised outside the handlers: aiohttp's exception, which holds the key, is not its context.
        raise outcome

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._sessions.aclose()

    async def _send(self, session: aiohttp.ClientSession, trace: AttemptTrace) -> Reply:
        body, headers = await _encode_body(trace.attempt.body)
        trace.body_size = int(headers.get(CONTENT_LENGTH, 0))
        async with body if isinstance(body, FormStream) else nullcontext():
            return await self._exchange(session, trace, body, headers)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        trace: AttemptTrace,
        body: bytes | FormStream | None,
        headers: Mapping[str, str],
    ) -> Reply:
        attempt = trace.attempt
        with trace_requests(trace), trace.start_limit():
            async with await session.request(
                attempt.method,
                attempt.url,
                data=body,
                headers={**headers, AUTHORIZATION: attempt.key.reveal()},
                allow_redirects=False,
                proxy=attempt.proxy,
                # A POST is never repeated, so it goes without.
                middlewares=() if attempt.method == "POST" else (trace.send_once,),
            ) as response:
                return await _read_reply(response, trace)

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEP_ALIVE, ssl=self._ssl if self._ssl is not None else True
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={USER_AGENT: self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            request_class=TracedRequest,
        )


async def _encode_body(body: Body) -> tuple[bytes | FormStream | None, dict[str, str]]:
    """Return the body as it is sent, and the headers that describe it."""
    if body is None:
        return None, {}
    if isinstance(body, Form):
        form = encode_form(body)
        content = await form.join() if form.is_small else FormStream(form)
        return content, {CONTENT_TYPE: form.content_type, CONTENT_LENGTH: str(form.size)}
    kind = "application/json" if isinstance(body, Json) else "application/x-www-form-urlencoded"
    return body.encode(), {CONTENT_TYPE: kind}


async def _read_reply(response: aiohttp.ClientResponse, trace: AttemptTrace) -> Reply:
    target, headers, saved = trace.attempt.save_to, response.headers, None
    # A failure is JSON, and text is a proxy's page: both are read like every other reply.
    is_text = response.content_type == "application/json" or response.content_type.startswith(
        "text/"
    )
    if target is not None and response.status == HTTPStatus.OK and not is_text:
        saved = await save(response.content.iter_any(), target, trace.extend_limit)
    return Reply(
        status=response.status,
        body=b"" if saved else await _read_bounded(response),
        headers={n: headers[n] for n in _KEPT_HEADERS if n in headers},
        at=time.time(),
        saved=saved,
    )


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
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
