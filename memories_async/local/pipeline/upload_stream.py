"""Upload stream: writes a file that is too large for memory to disk while it arrives, and hashes it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, Protocol

from aiohttp import BodyPartReader
from attrs import define, field, frozen

from memories_async._http.files import in_thread
from memories_async.local.jobs.request_context import RequestContext
from memories_async.local.jobs.upload_store import ReceivedFile
from memories_async.local.state.forms import (
    MALFORMED,
    MEGABYTE,
    check_fields,
    check_multipart,
    read_field,
)
from memories_async.local.state.wire import Reason, Refusal

__all__ = ["FileSink", "ReceivedUpload", "receive_upload"]

_FILE = "file"


@frozen(kw_only=True)
class ReceivedUpload:
    """A form with one file, which was received completely."""

    file: ReceivedFile
    content_type: str
    fields: tuple[tuple[str, str], ...]
    """A name may be repeated, as that of tags is."""


class _Digest(Protocol):
    def update(self, data: bytearray, /) -> None: ...
    def hexdigest(self) -> str: ...


@define(eq=False)
class FileSink:
    """Writes and hashes a file in a thread, so that neither blocks the event loop."""

    path: Path
    largest: int
    size: int = field(init=False, default=0)
    _file: BinaryIO | None = field(init=False, default=None)
    _pending: bytearray = field(init=False, factory=bytearray)
    _digest: _Digest = field(init=False, factory=hashlib.sha256)

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*; raises `Refusal` where the file becomes too large."""
        self.size += len(chunk)
        if self.size > self.largest:
            raise Refusal(Reason.WRONG, f"The file is larger than {self.largest} bytes.")
        self._pending += chunk
        if len(self._pending) >= MEGABYTE:
            await self._flush()

    async def close(self) -> str:
        """Write the rest; returns the SHA-256 of the file."""
        await self._flush()
        self.abandon()
        return self._digest.hexdigest()

    def abandon(self) -> None:
        """Close the file without writing the rest."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        await in_thread(lambda: self._append(pending))

    def _append(self, piece: bytearray) -> None:
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(piece)
        self._digest.update(piece)


async def receive_upload(context: RequestContext, draft: Path, *, largest: int) -> ReceivedUpload:
    """Read a multipart form and write its file to *draft*; other fields may come before or after it."""
    check_multipart(context.request)
    context.drafts.append(draft)
    fields: list[tuple[str, str]] = []
    received: tuple[ReceivedFile, str] | None = None
    try:
        async for part in await context.request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                continue
            if part.filename is None:
                fields.append((part.name, await read_field(part)))
                check_fields([value for _, value in fields])
            elif part.name == _FILE and received is None:
                file = await _receive_file(part, FileSink(draft, largest))
                received = file, part.headers.get("Content-Type", "")
            else:
                raise Refusal(Reason.WRONG, "Only one file is supported.")
    except MALFORMED:
        raise Refusal(Reason.WRONG, "The multipart body cannot be read.") from None
    if received is None:
        raise Refusal(Reason.MISSING, "The file parameter cannot be empty!")
    context.uploads.append(received[0].sha256)
    return ReceivedUpload(file=received[0], content_type=received[1], fields=tuple(fields))


async def _receive_file(part: BodyPartReader, sink: FileSink) -> ReceivedFile:
    try:
        while chunk := await part.read_chunk(MEGABYTE):
            await sink.write(chunk)
        digest = await sink.close()
    finally:
        sink.abandon()
    return ReceivedFile(
        path=sink.path, file_name=part.filename or "", size=sink.size, sha256=digest
    )
