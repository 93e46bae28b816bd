"""Taking in a file that is too large for memory: from the socket to the disk, and hashed on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, Protocol

from aiohttp import BodyPartReader, web
from attrs import define, field, frozen

from memories_async._http.threads import in_thread
from memories_async.local.jobs.upload_store import Parcel
from memories_async.local.state.forms import MEGABYTE, checked_multipart, read_field
from memories_async.local.state.wire import Reason, Refusal

__all__ = ["Delivered", "Sink", "take_in"]

_FILE = "file"


@frozen(kw_only=True)
class Delivered:
    """A form with one file."""

    parcel: Parcel
    content_type: str
    fields: tuple[tuple[str, str], ...]
    """Names may repeat, as those of tags do."""


class _Digest(Protocol):
    def update(self, data: bytearray, /) -> None: ...
    def hexdigest(self) -> str: ...


@define(eq=False)
class Sink:
    """A file being written and hashed, in a thread: neither may hold the event loop up."""

    path: Path
    largest: int
    size: int = field(init=False, default=0)
    _file: BinaryIO | None = field(init=False, default=None)
    _waiting: bytearray = field(init=False, factory=bytearray)
    _digest: _Digest = field(init=False, factory=hashlib.sha256)

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; raises `Refusal` where the whole becomes too large."""
        self.size += len(chunk)
        if self.size > self.largest:
            raise Refusal(Reason.WRONG, f"The file is larger than {self.largest} bytes.")
        self._waiting += chunk
        if len(self._waiting) >= MEGABYTE:
            await self._flush()

    async def close(self) -> str:
        """Write the rest; returns the SHA-256 of all."""
        await self._flush()
        self.abandon()
        return self._digest.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await in_thread(lambda: self._put(waiting))

    def _put(self, piece: bytearray) -> None:
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(piece)
        self._digest.update(piece)


async def take_in(request: web.Request, draft: Path, *, largest: int) -> Delivered:
    """Read a multipart form whose file goes to *draft*; its other fields may come before or after."""
    checked_multipart(request)
    fields: list[tuple[str, str]] = []
    found: tuple[Parcel, str] | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                continue
            if part.filename is None:
                fields.append((part.name, await read_field(part)))
            elif part.name == _FILE and found is None:
                parcel = await _taken(part, Sink(draft, largest))
                found = parcel, part.headers.get("Content-Type", "")
            else:
                raise Refusal(Reason.WRONG, "Only one file is supported.")
    except ValueError:
        raise Refusal(Reason.WRONG, "The multipart body cannot be read.") from None
    if found is None:
        raise Refusal(Reason.MISSING, "The file parameter cannot be empty!")
    return Delivered(parcel=found[0], content_type=found[1], fields=tuple(fields))


async def _taken(part: BodyPartReader, sink: Sink) -> Parcel:
    try:
        while chunk := await part.read_chunk(MEGABYTE):
            await sink.write(chunk)
        digest = await sink.close()
    finally:
        sink.abandon()
    return Parcel(path=sink.path, file_name=part.filename or "", size=sink.size, sha256=digest)
