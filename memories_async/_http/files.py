"""Work on files, done in a thread; and a binary answer, saved as a whole or not at all."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from attrs import define, field

from memories_async.errors import OutcomeUnknown

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run *work* in a thread. A cancelled caller waits for its end first, because it uses a file."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def save(chunks: AsyncIterator[bytes], target: Path, on_chunk: Callable[[], None]) -> int:
    """Write *chunks* to *target* by way of a temporary file beside it; return the bytes written.

    *on_chunk* is called after each chunk, to restart the time limit for silence. Raises
    `OutcomeUnknown` if the file cannot be written: the answer may be billed, and is not kept.
    """
    part, size = _PartFile(target.with_name(f".{secrets.token_hex(8)}.part")), 0
    try:
        async for chunk in chunks:
            await _write(partial(part.write, chunk), target)
            size += len(chunk)
            on_chunk()
        await _write(partial(part.publish, target), target)
    finally:
        part.discard()
    return size


async def _write(work: Callable[[], None], target: Path) -> None:
    """Do *work* in a thread, and keep an error of the disk apart from one of the network."""
    try:
        await in_thread(work)
    except OSError as error:
        raise OutcomeUnknown(f"{target} cannot be written: {error.strerror}") from None


@define
class _PartFile:
    """A file that is not complete. Each method except `discard` is run in a thread."""

    path: Path
    file: BinaryIO | None = field(default=None, init=False)

    def write(self, chunk: bytes) -> None:
        if self.file is None:
            self.file = self.path.open("xb")
        self.file.write(chunk)

    def publish(self, target: Path) -> None:
        """Rename it to *target*, once its bytes are on the disk."""
        self.write(b"")
        assert self.file is not None
        self.file.flush()
        os.fsync(self.file.fileno())
        self.path.replace(target)

    def discard(self) -> None:
        """Close it, and remove it unless it was published."""
        if self.file is not None:
            with suppress(OSError):  # a full disk refuses the last bytes once more
                self.file.close()
            self.path.unlink(missing_ok=True)
