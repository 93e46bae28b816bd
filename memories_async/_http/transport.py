"""The wire: one request, one complete reply, or the one error that tells what became of it.

The only user of aiohttp's client. Whether a failed request may have been billed is decided by
aiohttp's trace signals (did a header leave?), for its exception types cannot tell.
"""

from __future__ import annotations

import asyncio
import ssl as tls
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp.hdrs import AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT

from memories_async._http import multipart
from memories_async._http.attempt import Attempt, AttemptTrace, TracedRequest, trace_requests
from memories_async._http.download import save
from memories_async._http.failures import build_error
from memories_async._http.sessions import Sessions
from memories_async._protocol.call import Fields, Form, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.media import MB

MAX_REPLY = 8 * MB
"""Bytes of a reply, unpacked, that are read at most."""
KEEP_ALIVE = 2.0
"""Seconds that an idle connection is kept: a billed POST never rides one that may be stale."""
_KEPT_HEADERS = ("content-type", "date", "location", "retry-after", "retry-after-ms")


class Transport(Protocol):
    """Carries one request; never repeats it, never follows a redirect."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close what was opened; may be called twice."""
        ...


class AiohttpTransport:
    """The transport over aiohttp. Opens nothing before the first request."""

    def __init__(
        self, *, user_agent: str, proxy: str | None = None, ssl: tls.SSLContext | None = None
    ) -> None:
        self._user_agent = user_agent
        self._proxy = proxy
        self._ssl = ssl
        self._sessions = Sessions(self._open_session)

    async def carry(self, attempt: Attempt) -> Reply:
        """See `Transport.carry`."""
        loop = asyncio.get_running_loop()
        started, trace = loop.time(), AttemptTrace(attempt, loop)
        try:
            session = await self._sessions.current()
            if not isinstance(attempt.body, Form):
                return await self._exchange(session, trace, *_encode_plain(attempt.body))
            async with _open_form(attempt.body) as (body, headers):
                trace.body_size = int(headers[CONTENT_LENGTH])
                return await self._exchange(session, trace, body, headers)
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

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        trace: AttemptTrace,
        body: bytes | multipart.Stream | None,
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
                proxy=self._proxy,
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


@asynccontextmanager
async def _open_form(
    form: Form,
) -> AsyncGenerator[tuple[bytes | multipart.Stream, dict[str, str]]]:
    """Lay a form out for the wire, with the headers that announce it."""
    encoded = multipart.encode(form)
    headers: dict[str, str] = {
        CONTENT_TYPE: encoded.content_type,
        CONTENT_LENGTH: str(encoded.size),
    }
    if encoded.is_short:
        yield await multipart.joined(encoded), headers
        return
    async with multipart.Stream(encoded) as stream:
        yield stream, headers


def _encode_plain(body: Json | Fields | None) -> tuple[bytes | None, dict[str, str]]:
    """Lay a body without files out."""
    if body is None:
        return None, {}
    kind = "application/json" if isinstance(body, Json) else "application/x-www-form-urlencoded"
    return body.encode(), {CONTENT_TYPE: kind}


async def _read_reply(response: aiohttp.ClientResponse, trace: AttemptTrace) -> Reply:
    target, headers = trace.attempt.save_to, response.headers
    saved = None if target is None else await _save_body(response, target, trace)
    return Reply(
        status=response.status,
        body=b"" if saved else await _read_bounded(response),
        headers={n: headers[n] for n in _KEPT_HEADERS if n in headers},
        at=time.time(),
        saved=saved,
    )


async def _save_body(
    response: aiohttp.ClientResponse, target: Path, trace: AttemptTrace
) -> int | None:
    """Write a binary answer to *target*; failures are JSON, and are read like every reply."""
    # Text, too, is no file of ours, but the page of some proxy.
    told = response.content_type == "application/json" or response.content_type.startswith("text/")
    if response.status != HTTPStatus.OK or told:
        return None
    return await save(response.content.iter_any(), target, trace.extend_limit)


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
