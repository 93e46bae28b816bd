"""The reference transport: aiohttp's session and its public trace signals, and nothing else of it.

It is used through a proxy, with versions of aiohttp that the direct transport was not verified with,
and where `MEMORIES_TRANSPORT=reference` asks for it. Bytes that come on an idle connection, which no
request asked for, aiohttp's session takes for the next answer; the direct transport does not.

Whether a failed request may be billed depends on whether its first byte was sent, never on the type of
an exception.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.hdrs import USER_AGENT
from aiohttp.http import HttpProcessingError

from memories_async._http.attempt import KEEP_ALIVE, Attempt, StaleConnectionError
from memories_async._http.failures import build_error
from memories_async._http.multipart import FormStream
from memories_async._http.transport import (
    MAX_HEADER,
    MAX_HEADERS,
    Session,
    Sessions,
    encode_request,
    read_reply,
)
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown


class ReferenceTransport:
    """The transport over aiohttp's session. It opens nothing before the first request."""

    def __init__(self, *, user_agent: str, ssl: tls.SSLContext | None = None) -> None:
        self._user_agent = user_agent
        self._ssl = ssl
        self._sessions = Sessions(self._open_session)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._sessions.aclose()

    async def carry(self, attempt: Attempt) -> Reply:
        """See `Transport.carry`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while True:
                try:
                    return await self.exchange(attempt)
                except StaleConnectionError:
                    continue
        except (NotSent, OutcomeUnknown) as error:
            # The frames where it was raised hold the response, which refers to the request's headers.
            outcome: MemoriesError = error.with_traceback(None)
        except (
            *(aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError),
        ) as error:
            seconds = loop.time() - started
            outcome = build_error(error, url=attempt.url, sent=attempt.has_sent, seconds=seconds)
        except asyncio.CancelledError as error:
            # The frames below hold the headers, and with them the key.
            raise error.with_traceback(None) from None
        # Raised outside the handlers: aiohttp's exception, which holds the key, is not its context.
        raise outcome

    async def exchange(self, attempt: Attempt) -> Reply:
        """Send the request and read its reply; raise what aiohttp raises."""
        session = await self._sessions.current()
        body, headers = encode_request(attempt)
        if isinstance(body, bytes):
            return await self.send_request(session, attempt, headers, (body,))
        attempt.body_size = body.size
        if body.is_small:
            return await self.send_request(session, attempt, headers, await body.load())
        async with FormStream(body) as stream:
            return await self.send_request(session, attempt, headers, (), stream)

    async def send_request(
        self,
        session: Session,
        attempt: Attempt,
        headers: dict[str, str],
        pieces: Sequence[bytes],
        stream: FormStream | None = None,
    ) -> Reply:
        """Send the request, whose body is *pieces* or else the *stream*, and read its reply."""

        async def send_once(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            """Refuse aiohttp's own repeat of a GET or DELETE, which may be billed."""
            if attempt.has_sent:
                raise aiohttp.ServerDisconnectedError
            return await handler(request)

        try:
            with attempt.start_limit():
                async with session.client.request(
                    attempt.method,
                    attempt.url,
                    data=stream or b"".join(pieces) or None,
                    headers=headers,
                    allow_redirects=False,
                    proxy=attempt.proxy,
                    # A POST is never repeated, so it goes without.
                    middlewares=() if attempt.method == "POST" else (send_once,),
                    trace_request_ctx=attempt,
                ) as response:
                    return await read_reply(
                        response.status, response.headers, response.content, attempt
                    )
        except (aiohttp.ClientError, OSError):
            if stream is None or stream.error is None:
                raise
        # aiohttp reports what the stream raised as a failure of the connection.
        raise stream.error

    def _open_session(self) -> Session:
        """Open a pool without a limit of its own, which keeps no connection that may be stale."""
        trust = self._ssl if self._ssl is not None else True
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=trust)
        signals = aiohttp.TraceConfig()
        signals.on_request_headers_sent.append(_note_headers)
        signals.on_request_chunk_sent.append(_note_chunk)
        client = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={USER_AGENT: self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[signals],
            auto_decompress=False,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
        )
        return Session(client, connector)


async def _note_headers(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    """Wait for the permit of a late request; aiohttp awaits this before the first byte."""
    attempt: Attempt = context.trace_request_ctx
    await attempt.be_on_time()
    attempt.note_sent()


async def _note_chunk(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    sent: aiohttp.TraceRequestChunkSentParams,
) -> None:
    attempt: Attempt = context.trace_request_ctx
    attempt.note_chunk(len(sent.chunk))
