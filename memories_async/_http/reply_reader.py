"""Reads replies: bounded, decompressed, and never without their bytes where they may be paid."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from memories_async._http.attempt import AttemptProgress
from memories_async._http.download import save
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
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_reply(
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    progress: AttemptProgress,
) -> Reply:
    """Read the body of a reply, or save it where the call wants a file."""
    kept = _keep_headers(headers)
    target, saved, body = progress.attempt.save_to, None, b""
    if target is not None and status == HTTPStatus.OK and _is_file(kept):
        saved = await save(content.iter_any(), target, progress.extend_limit)
    else:
        body = await _read_body(status, kept, content, progress)
        if "content-encoding" in kept:
            body = _decompress(body, kept["content-encoding"], status=status)
    return Reply(status=status, body=body, headers=kept, at=time.time(), saved=saved)


def _is_file(headers: Mapping[str, str]) -> bool:
    """Whether a success is a file: a failure is JSON, and text is a proxy's page."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json" or content_type.startswith("text/"):
        return False
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise OutcomeUnknown("the file came compressed, which was not asked for", headers=headers)
    return True


async def _read_body(
    status: int,
    headers: dict[str, str],
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
            raise _build_too_long(status, None)
    if is_cut:
        # Raised outside the handler, because aiohttp's exception holds the key. What came is kept.
        raise OutcomeUnknown(
            f"the answer of {urlsplit(progress.attempt.url).netloc} broke off",
            headers=headers,
            body=b"".join(pieces),
            transient=True,
        )
    return b"".join(pieces)


def _decompress(body: bytes, encoding: str, *, status: int) -> bytes:
    """Undo gzip or deflate; return what cannot be undone as it came, since it may be paid."""
    # Some servers send deflate without the head that belongs to it.
    forms = {"gzip": (GZIP_OR_ZLIB,), "deflate": (GZIP_OR_ZLIB, -zlib.MAX_WBITS)}
    for form in forms.get(encoding.strip().lower(), ()):
        unpacker = zlib.decompressobj(form)
        try:
            text = unpacker.decompress(body, MAX_REPLY + 1)
        except zlib.error:
            continue
        if len(text) > MAX_REPLY:
            raise _build_too_long(status, body)
        if unpacker.eof and not unpacker.unused_data:
            return text
    return body


def _build_too_long(status: int, body: bytes | None) -> OutcomeUnknown:
    reason = f"the reply is longer than {MAX_REPLY:,} bytes"
    return OutcomeUnknown(reason, status=status, body=body)


def _keep_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case names: the first of each, and no cookies."""
    kept: dict[str, str] = {}
    for name, value in headers.items():
        # aiohttp decodes bytes that are no UTF-8 to surrogates, which cannot be encoded again.
        text = value if value.isascii() else value.encode("utf-8", "replace").decode()
        kept.setdefault(name.lower(), text[:MAX_KEPT_HEADER])
    kept.pop("set-cookie", None)
    return kept
