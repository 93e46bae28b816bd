"""The direct transport: a request head of our own, written to a connection of aiohttp's pool.

aiohttp opens the connections (pool, DNS, TLS) and parses the replies. Its session, request and
response objects, which are most of what a small call costs, are left out. The first byte is written
here, so it is known and not deduced whether it was sent.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl as tls
from collections.abc import Mapping
from functools import cache

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.hdrs import USER_AGENT
from aiohttp.http import RawResponseMessage
from attrs import define, field
from yarl import URL

from memories_async._http.attempt import AttemptProgress, StaleConnectionError
from memories_async._http.multipart import EncodedForm, FormStream
from memories_async._http.reference import ReferenceTransport
from memories_async._http.transport import (
    MAX_HEADER,
    HttpTransport,
    Sessions,
    encode_body,
    open_connector,
    read_reply,
)
from memories_async._protocol.reply import Reply

log = logging.getLogger("memories_async")

VERIFIED = ((3, 14, 1), (3, 15))
"""The versions of aiohttp, from and below, over which the tests of this transport have passed."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@define(eq=False)
class _ConnectionPool:
    """The connections of one event loop, and what is the same in every request to a URL."""

    connector: aiohttp.TCPConnector
    user_agent: str
    _targets: dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]] = field(
        factory=dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]], init=False
    )

    @property
    def closed(self) -> bool:
        return self.connector.closed

    async def close(self) -> None:
        await self.connector.close()

    def describe(self, method: str, url: str) -> tuple[aiohttp.ClientRequest, str]:
        """Return what the connector asks for a connection to *url*, and the head's first lines."""
        target = self._targets.get((method, url))
        if target is None:
            if len(self._targets) > 1000:  # noqa: PLR2004  # listings have a URL for each page
                self._targets.clear()
            request = aiohttp.ClientRequest(
                "GET",
                URL(url),
                headers={USER_AGENT: self.user_agent},
                loop=asyncio.get_running_loop(),
            )
            first = f"{method} {request.url.raw_path_qs} HTTP/1.1\r\n"
            target = request, first + build_head(request.headers)
            self._targets[method, url] = target
        return target


class DirectTransport(HttpTransport):
    """The transport over aiohttp's connector. It opens nothing before the first request."""

    def __init__(self, *, user_agent: str, ssl: tls.SSLContext | None = None) -> None:
        self._user_agent = user_agent
        self._ssl = ssl
        self._sessions = Sessions(self._open_pool)
        self._reference = ReferenceTransport(user_agent=user_agent, ssl=ssl)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._sessions.aclose()
        await self._reference.aclose()

    async def exchange(self, progress: AttemptProgress) -> Reply:
        if progress.attempt.proxy is not None or _is_session_replaced():
            return await self._reference.exchange(progress)
        attempt, pool = progress.attempt, await self._sessions.current()
        body, headers = encode_body(attempt.body)
        if attempt.body is None and attempt.method == "POST":
            headers["Content-Length"] = "0"
        headers["Authorization"] = attempt.key.reveal()
        request, first = pool.describe(attempt.method, attempt.url)
        head = f"{first}{build_head(headers)}\r\n".encode()
        if not isinstance(body, EncodedForm):
            return await _exchange(pool, request, progress, [head + body])
        progress.body_size = body.size
        if body.is_small:
            return await _exchange(pool, request, progress, [head, *await body.load()])
        async with FormStream(body) as stream:
            return await _exchange(pool, request, progress, [head], stream)

    def _open_pool(self) -> _ConnectionPool:
        return _ConnectionPool(open_connector(self._ssl), self._user_agent)


def _is_session_replaced() -> bool:
    """Whether a test answers in the service's place, as with aioresponses."""
    request: object = vars(aiohttp.ClientSession)["_request"]
    return getattr(request, "__module__", None) != "aiohttp.client"


def build_head(headers: Mapping[str, str]) -> str:
    """Write headers as they are sent; a control character in one would start another header."""
    if _CONTROLS.search("".join(headers.values())) is not None:
        raise ValueError("a header must not contain control characters")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


async def _exchange(
    pool: _ConnectionPool,
    request: aiohttp.ClientRequest,
    progress: AttemptProgress,
    pieces: list[bytes],
    stream: FormStream | None = None,
) -> Reply:
    """Send *pieces* and the *stream* that follows them on a connection, and read the reply."""
    with progress.start_limit():
        connection = await pool.connector.connect(request, [], _NO_TIMEOUT)
        try:
            reply = await _converse(connection, progress, pieces, stream)
        except BaseException:
            connection.close()
            raise
        connection.release()
        return reply


async def _converse(
    connection: Connection,
    progress: AttemptProgress,
    pieces: list[bytes],
    stream: FormStream | None,
) -> Reply:
    """Write the request and read its reply."""
    if progress.attempt.renew_permit is not None:
        renewal = progress.attempt.renew_permit()
        if renewal is not None:
            await progress.renew_permit(renewal)
    protocol = connection.protocol
    if protocol is None or protocol.transport is None or not protocol.is_connected():
        raise StaleConnectionError
    if protocol.should_close:  # bytes came that no request asked for
        raise StaleConnectionError
    protocol.set_response_params(
        read_until_eof=True, max_line_size=MAX_HEADER, max_field_size=MAX_HEADER
    )
    progress.note_sent()
    protocol.transport.writelines(pieces)
    if stream is not None:
        message, content = await _upload(protocol, stream, progress)
    else:
        if progress.body_size:
            progress.note_chunk(progress.body_size)
        message, content = await _read_head(protocol)
    return await read_reply(message.code, message.headers, content, progress)


async def _upload(
    protocol: ResponseHandler, body: FormStream, progress: AttemptProgress
) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """Write a long body, and read the head of the reply, which may come before its end."""
    writing = asyncio.ensure_future(_write(protocol, body, progress))
    reading = asyncio.ensure_future(_read_head(protocol))
    try:
        await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        # A server that refuses an upload closes the connection, and its answer may still be there.
        if writing.done() and not isinstance(writing.exception(), OSError):
            writing.result()
        return await reading
    finally:
        if not writing.done():
            protocol.force_close()
        for task in (writing, reading):
            task.cancel()
        await asyncio.wait({writing, reading})


async def _write(protocol: ResponseHandler, body: FormStream, progress: AttemptProgress) -> None:
    async for chunk in body:
        if protocol.transport is None:
            raise ConnectionResetError
        protocol.transport.write(chunk)
        await protocol._drain_helper()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # aiohttp's own writer has no other way
        progress.note_chunk(len(chunk))


async def _read_head(
    protocol: ResponseHandler,
) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """Return the head of the final reply and the reader of its body."""
    while True:
        message, content = await protocol.read()
        if message.code >= 200 or message.code == 101:  # noqa: PLR2004  # what precedes is interim
            return message, content


@cache
def explain_unverified() -> str | None:
    """Say why the direct transport cannot be used with the installed aiohttp; None if it can."""
    version = tuple(int(part) for part in re.findall(r"\d+", aiohttp.__version__)[:3])
    if not VERIFIED[0] <= version < VERIFIED[1]:
        return f"it was not verified with aiohttp {aiohttp.__version__}"
    touched = {
        aiohttp.TCPConnector: ("connect",),
        ResponseHandler: (
            "_drain_helper",
            "force_close",
            "read",
            "set_response_params",
            "should_close",
        ),
        Connection: ("close", "protocol", "release"),
    }
    missing = [n for kind, names in touched.items() for n in names if not hasattr(kind, n)]
    return f"this aiohttp has no {', '.join(missing)}" if missing else None


def build_transport(
    *, user_agent: str, ssl: tls.SSLContext | None, kind: str | None
) -> DirectTransport | ReferenceTransport:
    """Choose the transport: direct where it can be, or the reference where *kind* names it."""
    if kind == "reference":
        return ReferenceTransport(user_agent=user_agent, ssl=ssl)
    reason = explain_unverified()
    if reason is not None:
        _log_once(reason)
        return ReferenceTransport(user_agent=user_agent, ssl=ssl)
    return DirectTransport(user_agent=user_agent, ssl=ssl)


@cache
def _log_once(reason: str) -> None:
    log.info("requests are sent by aiohttp's session, not by the direct transport: %s", reason)
