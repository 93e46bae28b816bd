"""Multipart bodies: small ones joined into one piece, large ones streamed at constant memory.

The length is always known, so that nothing is sent in chunked encoding, and the event loop never
waits for a disk: files are read in a thread, one piece ahead of the network.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Self, TypeVar

from attrs import frozen

from memories_async._calls import Form, Json, Part
from memories_async.media import MB, Media, Reader

JOIN_BELOW = MB
"""Bodies below this many bytes are joined: one write beats several."""
T = TypeVar("T")

PIECE = MB
"""Bytes read from a file at a time; measured against smaller pieces in benchmarks/uploads.py."""


@frozen(kw_only=True)
class Encoded:
    """A form on its way to the wire."""

    segments: tuple[bytes | Media, ...]
    boundary: str

    @property
    def content_type(self) -> str:
        """The header that announces the body."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return sum(s.size if isinstance(s, Media) else len(s) for s in self.segments)


def encode(form: Form) -> Encoded:
    """Lay *form* out in segments; nothing is read yet. Pure but for the random boundary."""
    boundary = secrets.token_hex(16)
    segments: list[bytes | Media] = []
    for part in form.parts:
        content = part.content
        segments.append(_head(part, boundary))
        segments.append(content if isinstance(content, Media) else _encoded(content))
        segments.append(b"\r\n")
    segments.append(f"--{boundary}--\r\n".encode())
    return Encoded(segments=tuple(segments), boundary=boundary)


def _encoded(content: str | Json) -> bytes:
    return content.encode() if isinstance(content, str) else content.encoded()


def _head(part: Part, boundary: str) -> bytes:
    # Names are this library's own, so nothing in them needs quoting.
    content = part.content
    file_name = content.name if isinstance(content, Media) else part.file_name
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{part.name}"']
    if file_name is not None:
        lines[1] += f'; filename="{file_name}"'
    if isinstance(content, Media):
        lines.append(f"Content-Type: {content.content_type}")
    elif isinstance(content, Json):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode()


async def joined(encoded: Encoded) -> bytes:
    """Read everything into one piece; for small bodies."""
    if all(isinstance(s, bytes) or isinstance(s.source, bytes) for s in encoded.segments):
        return _join(encoded)
    return await _in_thread(partial(_join, encoded))


def _join(encoded: Encoded) -> bytes:
    return b"".join(_read(s) if isinstance(s, Media) else s for s in encoded.segments)


def _read(media: Media) -> bytes:
    # Bytes that are here already are not copied once more.
    return media.source if isinstance(media.source, bytes) else b"".join(media.chunks())


class Stream:
    """A body that is read while it is sent. Enter it before the request, leave it after."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self._open: list[bytes | Reader] = []
        self._ahead: asyncio.Future[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Open every file, so that one that is gone or changed is known before a byte is sent."""
        try:
            await _in_thread(self._open_all)
        except BaseException:
            self._close_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # A file must not be closed under a read that is under way in a thread.
        if self._ahead is not None:
            await asyncio.wait((self._ahead,))
        self._close_all()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for segment in self._open:
            if isinstance(segment, bytes):
                yield segment
                continue
            self._ahead = _in_thread(partial(segment.read, PIECE))
            while piece := await self._ahead:
                self._ahead = _in_thread(partial(segment.read, PIECE))
                yield piece

    def _open_all(self) -> None:
        for segment in self._encoded.segments:
            self._open.append(segment.open() if isinstance(segment, Media) else segment)

    def _close_all(self) -> None:
        for segment in self._open:
            if not isinstance(segment, bytes):
                segment.close()


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    return asyncio.get_running_loop().run_in_executor(None, work)
