"""Binary answers, written to a file as they come: complete under its name, or not there at all."""

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


async def save(pieces: AsyncIterator[bytes], target: Path, moved: Callable[[], None]) -> int:
    """Write *pieces* to *target* by way of a temporary file beside it; return its bytes.

    *moved* is called after each piece, for the clock that ends a silent transfer. Raises
    `OutcomeUnknown` where the disk refuses: what came was paid for, and is not kept.
    """
    draft, size = _Draft(target.with_name(f".{secrets.token_hex(8)}.part")), 0
    try:
        async for piece in pieces:
            await _on_disk(partial(draft.write, piece), target)
            size += len(piece)
            moved()
        await _on_disk(partial(draft.keep, target), target)
    finally:
        draft.discard()
    return size


async def _on_disk(work: Callable[[], None], target: Path) -> None:
    """Do *work*; a disk's failure is not to be taken for the network's."""
    try:
        await beside(work)
    except OSError as error:
        raise OutcomeUnknown(f"{target} cannot be written: {error.strerror}") from None


async def beside(work: Callable[[], T]) -> T:
    """Run *work* in a thread, to its end also when we are cancelled: it holds a file."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@define
class _Draft:
    """A file that is not complete; each method but `discard` is run in a thread."""

    path: Path
    file: BinaryIO | None = field(default=None, init=False)

    def write(self, piece: bytes) -> None:
        if self.file is None:
            self.file = self.path.open("xb")
        self.file.write(piece)

    def keep(self, target: Path) -> None:
        """Give it its name, once its bytes are on the disk."""
        self.write(b"")
        assert self.file is not None
        self.file.flush()
        os.fsync(self.file.fileno())
        self.path.replace(target)

    def discard(self) -> None:
        """Close it, and remove what was not kept."""
        if self.file is not None:
            with suppress(OSError):  # a full disk refuses the last bytes once more
                self.file.close()
            self.path.unlink(missing_ok=True)
