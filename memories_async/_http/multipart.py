"""Multipart bodies: small ones joined into one piece, large ones streamed at constant memory.

Bytes that are at hand are not copied once they are longer than a write's own cost (64 KB).

The length is always known, so that nothing is sent in chunked encoding, and the event loop never
waits for a disk: files are read in a thread, one piece ahead of the network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Self, TypeVar

from attrs import frozen

from memories_async._protocol.call import Form, Json, Part
from memories_async.media import MB, Media, Reader

JOIN_BELOW = MB
"""Files of bodies below this many bytes are read at once: one write beats several."""
COPY_BELOW = 64 * 1024
"""Bodies below this many bytes are joined also where everything is at hand."""
T = TypeVar("T")

PIECE = MB
"""Bytes read from a file at a time; what they cost is measured in benchmarks/uploads.py."""


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

    @property
    def is_short(self) -> bool:
        """Whether the body is better joined than streamed."""
        return self.size < (COPY_BELOW if self.is_at_hand else JOIN_BELOW)

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing needs to be read from a file."""
        return all(isinstance(s, bytes) or isinstance(s.source, bytes) for s in self.segments)


def encode(form: Form) -> Encoded:
    """Lay *form* out in segments; nothing is read yet. Pure but for the random boundary."""
    boundary = os.urandom(16).hex()
    segments: list[bytes | Media] = []
    between: list[bytes] = []
    for part in form.parts:
        between.append(_head(part, boundary))
        if isinstance(part.content, Media):
            segments += b"".join(between), part.content
            between = [b"\r\n"]
        else:
            between += part.content.encode(), b"\r\n"
    between.append(f"--{boundary}--\r\n".encode())
    return Encoded(segments=(*segments, b"".join(between)), boundary=boundary)


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
    if encoded.is_at_hand:
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
        if self._encoded.is_at_hand:
            self._open_all()
            return self
        opening = _in_thread(self._open_all)
        try:
            await asyncio.shield(opening)
        except BaseException:
            await asyncio.wait((opening,))
            self._close_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # A file must not be closed under a read that is under way in a thread.
        if self._ahead is not None:
            await asyncio.wait((self._ahead,))
            # A disk that fails behind the last byte sent is nobody's concern.
            self._ahead.exception()
        self._close_all()

    async def __aiter__(self) -> AsyncGenerator[bytes | memoryview]:
        for segment in self._open:
            if isinstance(segment, bytes):
                for at in range(0, len(segment), PIECE):
                    yield memoryview(segment)[at : at + PIECE]
                continue
            self._ahead = _in_thread(partial(segment.read, PIECE))
            # Whoever stops waiting does not stop the thread.
            while piece := await asyncio.shield(self._ahead):
                self._ahead = _in_thread(partial(segment.read, PIECE))
                yield piece

    def _open_all(self) -> None:
        for segment in self._encoded.segments:
            self._open.append(_opened(segment))

    def _close_all(self) -> None:
        for segment in self._open:
            if not isinstance(segment, bytes):
                segment.close()


def _opened(segment: bytes | Media) -> bytes | Reader:
    if isinstance(segment, bytes):
        return segment
    return segment.source if isinstance(segment.source, bytes) else segment.open()


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    return asyncio.get_running_loop().run_in_executor(None, work)
