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
from memories_async._http.attempt import Departure, Request, WatchedRequest, heard
from memories_async._http.download import save
from memories_async._http.failures import failure
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

    async def carry(self, request: Request) -> Reply:
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
        begun, departure = loop.time(), Departure(request, loop)
        try:
            session = await self._sessions.current()
            if not isinstance(request.body, Form):
                return await self._exchange(session, departure, *_plain(request.body))
            async with _laid_out(request.body) as (body, headers):
                departure.size = int(headers[CONTENT_LENGTH])
                return await self._exchange(session, departure, body, headers)
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the reply, which knows the request's headers.
            return error.with_traceback(None)
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            seconds = loop.time() - begun
            return failure(error, url=request.url, sent=departure.sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        departure: Departure,
        body: bytes | multipart.Stream | None,
        headers: Mapping[str, str],
    ) -> Reply:
        request = departure.request
        with heard(departure), departure.begun():
            async with await session.request(
                request.method,
                request.url,
                data=body,
                headers={**headers, AUTHORIZATION: request.key.reveal()},
                allow_redirects=False,
                proxy=self._proxy,
                # A POST is never repeated, so it goes without.
                middlewares=() if request.method == "POST" else (departure.once,),
            ) as response:
                return await _reply(response, departure)

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=KEEP_ALIVE, ssl=self._ssl if self._ssl is not None else True
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={USER_AGENT: self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            request_class=WatchedRequest,
        )


@asynccontextmanager
async def _laid_out(
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


def _plain(body: Json | Fields | None) -> tuple[bytes | None, dict[str, str]]:
    """Lay a body without files out."""
    if body is None:
        return None, {}
    kind = "application/json" if isinstance(body, Json) else "application/x-www-form-urlencoded"
    return body.encoded(), {CONTENT_TYPE: kind}


async def _reply(response: aiohttp.ClientResponse, departure: Departure) -> Reply:
    target, headers = departure.request.save_to, response.headers
    saved = None if target is None else await _saved(response, target, departure)
    return Reply(
        status=response.status,
        body=b"" if saved else await _bounded(response),
        headers={n: headers[n] for n in _KEPT_HEADERS if n in headers},
        at=time.time(),
        saved=saved,
    )


async def _saved(
    response: aiohttp.ClientResponse, target: Path, departure: Departure
) -> int | None:
    """Write a binary answer to *target*; failures are JSON, and are read like every reply."""
    # Text, too, is no file of ours, but the page of some proxy.
    told = response.content_type == "application/json" or response.content_type.startswith("text/")
    if response.status != HTTPStatus.OK or told:
        return None
    return await save(response.content.iter_any(), target, departure.moved)


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
