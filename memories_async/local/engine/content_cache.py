"""Where an engine keeps what it made of a video: a file named by the video's content and the engine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["hash_content", "kept", "place", "put"]

T = TypeVar("T")


def hash_content(path: Path) -> str:
    """Hash the file at *path* by SHA-256, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(folder: Path, *, content: str, engine: str, suffix: str = ".npz") -> Path:
    """Say where what *engine* made of *content* lies in *folder*."""
    return folder / f"{content[:40]}-{engine.replace('/', '-')}{suffix}"


def put(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let *write* fill a file beside *path* and move it there: no reader sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            write(file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def kept(
    video: Path,
    folder: Path | None,
    *,
    engine: str,
    suffix: str = ".npz",
    load: Callable[[Path], T | None],
    build: Callable[[Path], None],
) -> T:
    """Give what *engine* made of *video*: *load* it from *folder*, or *build* it there first.

    Without a folder it is built for this once. Raises `UnreadableVideo`, `EngineFailed`.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            content = hash_content(video)
        except OSError as error:
            raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
        path = place(folder, content=content, engine=engine, suffix=suffix)
        found = load(path)
        if found is None:
            _check(folder)
            build(path)
            found = load(path)
    if found is None:
        raise EngineFailed("the index that was just written cannot be read")
    return found


def _check(folder: Path) -> None:
    """Say plainly that nothing can be kept in *folder*, before anything is computed for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise EngineFailed(
            f"nothing can be kept in {folder}: {error.strerror}; name another folder by cache=, "
            "or by MEMORIES_CACHE on the command line"
        ) from error
