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
from collections.abc import Mapping, Sequence
from functools import cache

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.hdrs import ACCEPT_ENCODING, USER_AGENT
from aiohttp.http import RawResponseMessage
from yarl import URL

from memories_async._http.attempt import Attempt, StaleConnectionError
from memories_async._http.multipart import FormStream
from memories_async._http.reference import ReferenceTransport
from memories_async._http.transport import MAX_HEADER, MAX_HEADERS, Session, read_reply
from memories_async._protocol.reply import Reply
from memories_async.events import CallLogger

log = CallLogger(logging.getLogger("memories_async"))

VERIFIED = ((3, 14, 1), (3, 15))
"""The versions of aiohttp, from and below, over which the tests of this transport have passed."""
TOUCHED = {
    aiohttp.TCPConnector: ("connect",),
    ResponseHandler: (
        *("_drain_helper", "force_close", "is_connected", "read"),
        *("set_response_params", "should_close"),
    ),
    Connection: ("close", "protocol", "release"),
}
"""What is used of aiohttp beside its public API."""
MAX_TARGETS = 1000
"""URLs whose head is kept at most; listings have one for each page."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None)


class DirectTransport(ReferenceTransport):
    """The transport over aiohttp's connector."""

    async def send_request(
        self,
        session: Session,
        attempt: Attempt,
        headers: dict[str, str],
        pieces: Sequence[bytes],
        stream: FormStream | None = None,
    ) -> Reply:
        # A test that answers in the service's place, as with aioresponses, replaces this method.
        request_method: object = vars(aiohttp.ClientSession)["_request"]
        is_mocked = getattr(request_method, "__module__", None) != "aiohttp.client"
        if is_mocked or attempt.proxy is not None:
            return await super().send_request(session, attempt, headers, pieces, stream)
        target, first = self.describe(session, attempt.method, attempt.url)
        head = f"{first}{build_head(headers)}\r\n".encode()
        with attempt.start_limit():
            connection = await session.connector.connect(target, [], _NO_TIMEOUT)
            try:
                await attempt.be_on_time()
                protocol = connection.protocol
                if protocol is None or not protocol.is_connected() or protocol.should_close:
                    # It was closed meanwhile, or bytes came on it that no request asked for.
                    raise StaleConnectionError  # noqa: TRY301  # the connection is closed below
                assert protocol.transport is not None
                protocol.set_response_params(
                    read_until_eof=True,
                    auto_decompress=False,
                    max_line_size=MAX_HEADER,
                    max_field_size=MAX_HEADER,
                    max_headers=MAX_HEADERS,
                )
                attempt.note_sent()
                # Since Python 3.12 asyncio tries for ever to send an empty piece.
                protocol.transport.writelines([head, *filter(None, pieces)])
                if stream is not None:
                    message, content = await _upload(protocol, stream, attempt)
                else:
                    if attempt.progress is not None:
                        attempt.note_chunk(attempt.body_size)
                    message, content = await _read_head(protocol)
                reply = await read_reply(message.code, message.headers, content, attempt)
            except BaseException:
                connection.close()
                raise
            connection.release()
            return reply

    def describe(
        self, session: Session, method: str, url: str
    ) -> tuple[aiohttp.ClientRequest, str]:
        """Return what the connector asks for a connection to *url*, and the head's first lines."""
        target = session.targets.get((method, url))
        if target is None:
            if len(session.targets) >= MAX_TARGETS:
                session.targets.clear()
            request = aiohttp.ClientRequest(
                "GET",
                URL(url),
                headers={USER_AGENT: self._user_agent},
                skip_auto_headers={ACCEPT_ENCODING},
                loop=asyncio.get_running_loop(),
            )
            first = f"{method} {request.url.raw_path_qs} HTTP/1.1\r\n"
            target = request, first + build_head(request.headers)
            session.targets[method, url] = target
        return target


def build_head(headers: Mapping[str, str]) -> str:
    """Write headers as they are sent; a control character in one would start another header."""
    if not "".join(headers.values()).isprintable():
        raise ValueError("a header must not contain control characters")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


async def _upload(
    protocol: ResponseHandler, stream: FormStream, attempt: Attempt
) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """Write a long body, and read the head of the reply, which may come before its end."""

    async def write() -> None:
        async for chunk in stream:
            if protocol.transport is None:
                raise ConnectionResetError
            protocol.transport.write(chunk)
            await protocol._drain_helper()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # aiohttp's own writer has no other way
            attempt.note_chunk(len(chunk))

    writing, reading = asyncio.ensure_future(write()), asyncio.ensure_future(_read_head(protocol))
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
    reason = None
    if not VERIFIED[0] <= version < VERIFIED[1]:
        reason = f"it was not verified with aiohttp {aiohttp.__version__}"
    elif missing := [
        name for kind, names in TOUCHED.items() for name in names if not hasattr(kind, name)
    ]:
        reason = f"this aiohttp has no {', '.join(missing)}"
    if reason is not None:
        log.info("requests are sent by aiohttp's session, not by the direct transport: %s", reason)
    return reason


def build_transport(
    *, user_agent: str, ssl: tls.SSLContext | None, kind: str | None
) -> DirectTransport | ReferenceTransport:
    """Choose the transport: direct where it can be, or the reference where *kind* names it."""
    is_direct = kind != "reference" and explain_unverified() is None
    return (DirectTransport if is_direct else ReferenceTransport)(user_agent=user_agent, ssl=ssl)
