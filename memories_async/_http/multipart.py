"""Multipart bodies: a small one is one piece of bytes, a large one is streamed at constant memory.

The length is always known, so nothing is sent in chunked encoding. The event loop never waits for a
disk: files are read in a thread, one chunk ahead of the network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import Self

from attrs import frozen

from memories_async._http.files import in_thread
from memories_async._protocol.call import Form, Json, Part
from memories_async.errors import OutcomeUnknown
from memories_async.media import MB, Media, Reader

SMALL = MB
"""A body below this many bytes is sent in one piece: it costs less than a task that writes it."""
CHUNK = MB
"""Bytes read from a file at a time; benchmarks/uploads.py measures the choice."""


@frozen(kw_only=True)
class EncodedForm:
    """A form as it is sent: bytes and media in order."""

    segments: tuple[bytes | Media, ...]
    boundary: str

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return sum(s.size if isinstance(s, Media) else len(s) for s in self.segments)

    @property
    def is_small(self) -> bool:
        """Whether the body is sent in one piece."""
        return self.size < SMALL

    @property
    def is_in_memory(self) -> bool:
        """Whether no file needs to be read."""
        return all(isinstance(s, bytes) or isinstance(s.source, bytes) for s in self.segments)

    async def load(self) -> list[bytes]:
        """Read the whole body; bytes in memory are not copied."""
        return self._load() if self.is_in_memory else await in_thread(self._load)

    def _load(self) -> list[bytes]:
        return [s if isinstance(s, bytes) else s.read_bytes() for s in self.segments]


def encode_form(form: Form) -> EncodedForm:
    """Encode everything but the media, which are not read yet. Pure but for the random boundary."""
    boundary = os.urandom(16).hex()
    segments: list[bytes | Media] = []
    text: list[bytes] = []
    for part in form.parts:
        text.append(_encode_head(part, boundary))
        if isinstance(part.content, Media):
            segments += b"".join(text), part.content
            text = [b"\r\n"]
        else:
            text += part.content.encode(), b"\r\n"
    text.append(f"--{boundary}--\r\n".encode())
    return EncodedForm(segments=(*segments, b"".join(text)), boundary=boundary)


def _encode_head(part: Part, boundary: str) -> bytes:
    content = part.content
    file_name = content.name if isinstance(content, Media) else part.file_name
    # Names are made or checked by this library, so nothing in them needs quoting.
    lines = [f"--{boundary}", f'Content-Disposition: form-data; name="{part.name}"']
    if file_name is not None:
        lines[1] += f'; filename="{file_name}"'
    if isinstance(content, Media):
        lines.append(f"Content-Type: {content.content_type}")
    elif isinstance(content, Json):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode()


class FormStream:
    """A body that is read while it is sent. Enter it before the request, leave it after."""

    def __init__(self, encoded: EncodedForm) -> None:
        self._encoded = encoded
        self.error: OutcomeUnknown | None = None
        """Why the body could not be read to its end, if so."""
        self._open: list[bytes | tuple[Media, Reader]] = []
        self._next: asyncio.Future[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Open every file, so that one that is missing or changed is found before a byte is sent."""
        try:
            if self._encoded.is_in_memory:
                self._open_all()
            else:
                await in_thread(self._open_all)
        except BaseException:
            self._close_all()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # A file must not be closed while a thread reads it.
        if self._next is not None:
            await asyncio.wait((self._next,))
            # An error behind the last byte sent has no effect on the request.
            self._next.exception()
        self._close_all()

    async def __aiter__(self) -> AsyncGenerator[bytes | memoryview]:
        for segment in self._open:
            if isinstance(segment, bytes):
                for at in range(0, len(segment), CHUNK):
                    yield memoryview(segment)[at : at + CHUNK]
                continue
            media, reader = segment
            remaining = media.size
            self._read_ahead(reader, remaining)
            while remaining:
                chunk = await self._take_chunk(media, remaining)
                remaining -= len(chunk)
                self._read_ahead(reader, remaining)
                yield chunk

    def _read_ahead(self, reader: Reader, remaining: int) -> None:
        # No more than was promised is sent of a file that has grown.
        loop, size = asyncio.get_running_loop(), min(CHUNK, remaining)
        self._next = loop.run_in_executor(None, reader.read, size) if size else None

    async def _take_chunk(self, media: Media, remaining: int) -> bytes:
        """Return the chunk that was read ahead; raise if the file ended or failed before its time."""
        assert self._next is not None
        try:
            # A reader that is cancelled does not stop the thread.
            chunk = await asyncio.shield(self._next)
            reason = f"ended {remaining:,} bytes too early: it was changed"
        except OSError as error:
            chunk, reason = b"", f"could not be read: {error.strerror}"
        if not chunk:
            self.error = OutcomeUnknown(f"{media.label} {reason} while it was sent")
            raise self.error
        return chunk

    def _open_all(self) -> None:
        for segment in self._encoded.segments:
            if isinstance(segment, bytes):
                self._open.append(segment)
            elif isinstance(segment.source, bytes):
                self._open.append(segment.source)
            else:
                self._open.append((segment, segment.open()))

    def _close_all(self) -> None:
        for segment in self._open:
            if not isinstance(segment, bytes):
                segment[1].close()
