"""Arrays kept on disk: plain numpy archives, written at once, and built anew where unreadable.

Never pickles, so that a foreign file in the folder can do no harm. Written beside and moved into
place, so that a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from memories_async.local.engine._cv import np
from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["content_hash", "kept", "place", "read", "write"]

T = TypeVar("T")


def content_hash(path: Path) -> str:
    """Hash the file at *path*."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(folder: Path, *, content: str, engine: str) -> Path:
    """Say where what *engine* made of *content* lies in *folder*."""
    return folder / f"{content[:40]}-{engine.replace('/', '-')}.npz"


def kept(
    video: Path,
    folder: Path | None,
    *,
    engine: str,
    load: Callable[[Path], T | None],
    build: Callable[[Path], None],
) -> T:
    """Give what *engine* made of *video*: *load* it from *folder*, or *build* it there first.

    Without a folder it is built for this once. Raises `UnreadableVideo`.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            path = place(folder, content=content_hash(video), engine=engine)
        except OSError as error:
            raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
        found = load(path)
        if found is None:
            build(path)
            found = load(path)
    if found is None:
        raise EngineFailed("the index that was just written cannot be read")
    return found


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write *arrays* to *path* at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            np.savez(file, **arrays)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path, made: Callable[[dict[str, Any]], T]) -> T | None:
    """Give what is *made* of the arrays at *path*; None where there is nothing that can be read."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as found,
    ):
        return made({name: found[name] for name in found.files})
    return None
