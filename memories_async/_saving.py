"""Binary answers, written to a file as they come: complete under its name, or not there at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path


async def save(pieces: AsyncIterator[bytes], target: Path, moved: Callable[[], None]) -> int:
    """Write *pieces* to *target* by way of a temporary file beside it; return its bytes.

    *moved* is called after each piece, for the clock that ends a silent transfer.
    """
    loop = asyncio.get_running_loop()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    size = 0
    try:
        async for piece in pieces:
            await loop.run_in_executor(None, _write_all, handle, piece)
            size += len(piece)
            moved()
        await loop.run_in_executor(None, _keep, handle, Path(name), target)
    except BaseException:
        _discard(handle, Path(name))
        raise
    return size


def _keep(handle: int, path: Path, target: Path) -> None:
    os.fsync(handle)
    path.replace(target)
    os.close(handle)


def _discard(handle: int, path: Path) -> None:
    os.close(handle)
    path.unlink(missing_ok=True)


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]
