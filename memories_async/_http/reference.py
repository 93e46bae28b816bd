"""The reference transport: aiohttp's session and its public trace signals, and nothing else of it.

It is used through a proxy, with versions of aiohttp that the direct transport was not verified with,
and where `MEMORIES_TRANSPORT=reference` asks for it. Bytes that come on an idle connection, which no
request asked for, aiohttp's session takes for the next answer; the direct transport does not.
"""

from __future__ import annotations

import ssl as tls
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.hdrs import USER_AGENT

from memories_async._http.attempt import KEEP_ALIVE, AttemptProgress
from memories_async._http.multipart import EncodedForm, FormStream
from memories_async._http.transport import (
    MAX_HEADER,
    MAX_HEADERS,
    HttpTransport,
    Session,
    Sessions,
    encode_request,
    read_reply,
)
from memories_async._protocol.reply import Reply


class ReferenceTransport(HttpTransport):
    """The transport over aiohttp's session. It opens nothing before the first request."""

    def __init__(self, *, user_agent: str, ssl: tls.SSLContext | None = None) -> None:
        self._user_agent = user_agent
        self._ssl = ssl
        self._sessions = Sessions(self._open_session)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._sessions.aclose()

    async def exchange(self, progress: AttemptProgress) -> Reply:
        client = (await self._sessions.current()).client
        body, headers = encode_request(progress.attempt)
        if not isinstance(body, EncodedForm):
            return await self._request(client, progress, body or None, headers)
        progress.body_size = body.size
        if body.is_small:
            joined = b"".join(await body.load())
            return await self._request(client, progress, joined, headers)
        async with FormStream(body) as stream:
            try:
                return await self._request(client, progress, stream, headers)
            except (aiohttp.ClientError, OSError):
                if stream.error is None:
                    raise
        # aiohttp reports what the stream raised as a failure of the connection.
        raise stream.error

    async def _request(
        self,
        client: aiohttp.ClientSession,
        progress: AttemptProgress,
        body: bytes | FormStream | None,
        headers: dict[str, str],
    ) -> Reply:
        attempt = progress.attempt

        async def send_once(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            """Refuse aiohttp's own repeat of a GET or DELETE, which may be billed."""
            if progress.has_sent:
                raise aiohttp.ServerDisconnectedError
            return await handler(request)

        with progress.start_limit():
            async with client.request(
                attempt.method,
                attempt.url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=attempt.proxy,
                # A POST is never repeated, so it goes without.
                middlewares=() if attempt.method == "POST" else (send_once,),
                trace_request_ctx=progress,
            ) as response:
                return await read_reply(
                    response.status, response.headers, response.content, progress
                )

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
    progress: AttemptProgress = context.trace_request_ctx
    await progress.be_on_time()
    progress.note_sent()


async def _note_chunk(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    sent: aiohttp.TraceRequestChunkSentParams,
) -> None:
    progress: AttemptProgress = context.trace_request_ctx
    progress.note_chunk(len(sent.chunk))
