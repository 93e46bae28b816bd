"""What every transport does alike: sessions of event loops, bodies as they are sent, bounded replies.

There are two transports. `ReferenceTransport` uses aiohttp's session; `DirectTransport` writes the
request itself, over aiohttp's connector and parser.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field

from memories_async._http.attempt import Attempt
from memories_async._http.files import save
from memories_async._http.multipart import EncodedForm, encode_form
from memories_async._instances import Instances
from memories_async._protocol.call import Form, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import OutcomeUnknown
from memories_async.media import MB

MAX_REPLY = 8 * MB
"""Bytes of a reply, compressed and uncompressed, that are read at most."""
MAX_HEADERS, MAX_HEADER = 1000, 64 * 1024
"""Headers of a reply, and bytes of its status line and of each header, that are read at most."""
MAX_KEPT_HEADER = 8 * 1024
"""Characters of a header that a `Reply` keeps at most."""
ENCODINGS = "gzip, deflate"
"""The compressions that are asked for, of replies that are not saved as files."""
_TEXT = re.compile(r"application/json\b|text/")


class Transport(Protocol):
    """Sends requests. It never repeats one and never follows a redirect."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Return the complete reply, or raise `NotSent` or `OutcomeUnknown`."""
        ...

    async def aclose(self) -> None:
        """Close every connection; may be called twice."""
        ...


async def _hold(client: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()
        # Transports are closed in the loop's next cycle.
        await asyncio.sleep(0)


@define(eq=False)
class Session:
    """A session of aiohttp, its connections, and what is the same in every request to a URL.

    An asynchronous generator holds it. The loop finishes the generator when it shuts down (at the
    end of `asyncio.run`, for example), which closes the session also if nobody called `aclose`.
    """

    client: aiohttp.ClientSession
    connector: aiohttp.TCPConnector
    targets: dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]] = field(
        factory=dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]], init=False
    )
    """By method and URL: what the connector is asked with, and the first lines of the head."""
    holder: AsyncGenerator[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.holder = _hold(self.client)

    async def aclose(self) -> None:
        """Close it and its connections."""
        await self.holder.aclose()


@define(eq=False)
class Sessions:
    """One session for each event loop: opened at first use, closed with the loop."""

    open_session: Callable[[], Session]
    _open: dict[asyncio.AbstractEventLoop, Session] = field(factory=dict[Any, Any], init=False)

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> Session:
        """Return the session of the running loop; open it if there is none."""
        loop = asyncio.get_running_loop()
        session = self._open.get(loop)
        if session is not None and not session.connector.closed:
            return session
        for other in [*self._open]:
            if other.is_closed():
                # Another thread may have removed it first.
                self._open.pop(other, None)
        session = self._open[loop] = self.open_session()
        # It does not suspend: another task of this loop would open a session, too.
        await anext(session.holder)
        return session

    async def aclose(self) -> None:
        """Close this loop's session, and schedule the other running loops to close theirs."""
        loop = asyncio.get_running_loop()
        for other, session in [*self._open.items()]:
            self._open.pop(other, None)
            if other is loop:
                await session.aclose()
            elif other.is_running():
                asyncio.run_coroutine_threadsafe(session.aclose(), other)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, the sessions of the parent without closing them."""
        # Closing one would remove its sockets from the selector, which parent and child share.
        _inherited.append(self._open)
        self._open = {}


_all = Instances[Sessions](in_child=Sessions.reset_after_fork)
_inherited: list[object] = []


def encode_request(attempt: Attempt) -> tuple[bytes | EncodedForm, dict[str, str]]:
    """Return the body as it is sent, and the headers; read no file yet."""
    headers = {} if attempt.key is None else {"Authorization": attempt.key.reveal()}
    headers["Accept-Encoding"] = ENCODINGS if attempt.save_to is None else "identity"
    if isinstance(attempt.body, Form):
        form = encode_form(attempt.body)
        headers["Content-Type"] = f"multipart/form-data; boundary={form.boundary}"
        headers["Content-Length"] = str(form.size)
        return form, headers
    if attempt.body is None:
        if attempt.method == "POST":
            headers["Content-Length"] = "0"
        return b"", headers
    is_json, encoded = isinstance(attempt.body, Json), attempt.body.encode()
    headers["Content-Type"] = "application/json" if is_json else "application/x-www-form-urlencoded"
    headers["Content-Length"] = str(len(encoded))
    return encoded, headers


async def read_reply(
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    attempt: Attempt,
) -> Reply:
    """Read the body of a reply, or save it where the call wants a file."""
    kept, at = _keep_headers(headers), time.time()
    target, encoding = attempt.save_to, kept.get("content-encoding")
    content_type = "" if target is None else kept.get("content-type", "").strip().lower()
    # A failure is JSON, and text is a proxy's page: both are read like every other reply.
    if target is not None and status == HTTPStatus.OK and not _TEXT.match(content_type):
        if encoding not in {None, "identity"}:
            raise OutcomeUnknown(f"the file is compressed ({encoding}), unasked", headers=kept)
        saved = await save(content.iter_any(), target, attempt.extend_limit)
        return Reply(status=status, body=b"", headers=kept, at=at, saved=saved)
    body, is_cut = await _read_bounded(content)
    text = body if encoding is None or is_cut else _decompress(body, encoding)
    if is_cut or max(len(body), len(text)) > MAX_REPLY:
        # Raised here, because aiohttp's exception holds the key. What came is kept.
        host = urlsplit(attempt.url).netloc
        reason = f"the reply is longer than {MAX_REPLY:,} bytes"
        raise OutcomeUnknown(
            f"the answer of {host} broke off" if is_cut else reason,
            status=None if is_cut else status,
            headers=kept,
            body=body[:MAX_REPLY],
            transient=is_cut,
        )
    return Reply(status=status, body=text, headers=kept, at=at)


async def _read_bounded(content: aiohttp.StreamReader) -> tuple[bytes, bool]:
    """Read up to a piece more than is allowed; tell also whether the connection broke off."""
    pieces: list[bytes] = []
    size = 0
    # Not `iter_any`, whose machinery costs as much again for a reply of one piece.
    while size <= MAX_REPLY and not content.at_eof():
        try:
            pieces.append(await content.readany())
        except aiohttp.ClientPayloadError:
            return b"".join(pieces), True
        size += len(pieces[-1])
    return b"".join(pieces), False


def _decompress(body: bytes, encoding: str) -> bytes:
    """Undo gzip or deflate, bounded; return what cannot be undone as it came: it may be paid."""
    # Some servers send deflate without the head that belongs to it.
    gzip_or_zlib, bare = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS
    forms = {"gzip": (gzip_or_zlib,), "deflate": (gzip_or_zlib, bare)}
    for form in forms.get(encoding.strip().lower(), ()):
        unpacker = zlib.decompressobj(form)
        try:
            text = unpacker.decompress(body, MAX_REPLY + 1)
        except zlib.error:
            continue
        if len(text) > MAX_REPLY or (unpacker.eof and not unpacker.unused_data):
            return text
    return body


def _keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case names: the first of each, and no cookies."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        # aiohttp decodes bytes that are no UTF-8 to surrogates, which cannot be encoded again.
        text = value if value.isascii() else value.encode("utf-8", "replace").decode()
        kept.setdefault(name.lower(), text[:MAX_KEPT_HEADER])
    kept.pop("set-cookie", None)
    return kept
