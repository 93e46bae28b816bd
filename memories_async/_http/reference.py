"""The reference transport: aiohttp's session and its public trace signals, and nothing else of it.

It is used through a proxy, with versions of aiohttp that the direct transport was not verified with,
and where `MEMORIES_TRANSPORT=reference` asks for it.
"""

from __future__ import annotations

import ssl as tls
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.hdrs import AUTHORIZATION, USER_AGENT

from memories_async._http.attempt import AttemptProgress
from memories_async._http.multipart import EncodedForm, FormStream
from memories_async._http.transport import (
    MAX_HEADER,
    HttpTransport,
    Sessions,
    encode_body,
    open_connector,
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
        session = await self._sessions.current()
        body, headers = encode_body(progress.attempt.body)
        if isinstance(body, EncodedForm):
            progress.body_size = body.size
            if not body.is_small:
                return await self._upload(session, progress, FormStream(body), headers)
            body = b"".join(await body.load())
        with progress.start_limit():
            return await self._request(session, progress, body or None, headers)

    async def _upload(
        self,
        session: aiohttp.ClientSession,
        progress: AttemptProgress,
        body: FormStream,
        headers: dict[str, str],
    ) -> Reply:
        async with body:
            try:
                with progress.start_limit():
                    return await self._request(session, progress, body, headers)
            except (aiohttp.ClientError, OSError):
                if body.error is None:
                    raise
        # aiohttp reports what the stream raised as a failure of the connection.
        raise body.error

    async def _request(
        self,
        session: aiohttp.ClientSession,
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

        async with session.request(
            attempt.method,
            attempt.url,
            data=body,
            headers={**headers, AUTHORIZATION: attempt.key.reveal()},
            allow_redirects=False,
            proxy=attempt.proxy,
            # A POST is never repeated, so it goes without.
            middlewares=() if attempt.method == "POST" else (send_once,),
            trace_request_ctx=progress,
        ) as response:
            return await read_reply(response.status, response.headers, response.content, progress)

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=open_connector(self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={USER_AGENT: self._user_agent},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[_build_trace_config()],
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )


def _build_trace_config() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_before_headers)
    config.on_request_chunk_sent.append(_after_chunk)
    return config


async def _before_headers(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
    """Wait for the permit of a late request; aiohttp awaits this before the first byte."""
    progress: AttemptProgress = context.trace_request_ctx
    if progress.attempt.renew_permit is not None:
        renewal = progress.attempt.renew_permit()
        if renewal is not None:
            await progress.renew_permit(renewal)
    progress.note_sent()


async def _after_chunk(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    sent: aiohttp.TraceRequestChunkSentParams,
) -> None:
    progress: AttemptProgress = context.trace_request_ctx
    progress.note_chunk(len(sent.chunk))
