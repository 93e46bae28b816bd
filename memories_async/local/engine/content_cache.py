"""Cache of what an engine computed from a video: one file each, named by content and engine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["build_path", "hash_content", "load_or_build", "write_file"]

T = TypeVar("T")


def hash_content(path: Path) -> str:
    """Hash the file at *path* by SHA-256, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_path(folder: Path, *, content: str, engine: str, suffix: str = ".npz") -> Path:
    """Build the path in *folder* of what *engine* computed from *content*, a hash."""
    return folder / f"{content[:40]}-{engine.replace('/', '-')}{suffix}"


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let *write* fill a file beside *path*, then move it there: no reader sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            write(file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_or_build(
    video: Path,
    folder: Path | None,
    *,
    engine: str,
    suffix: str = ".npz",
    load: Callable[[Path], T | None],
    build: Callable[[Path], None],
) -> T:
    """Load from *folder* what *engine* computed from *video*; *build* it there first if need be.

    Without a folder it is built for this once. Raises `UnreadableVideo`, `EngineFailed`.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            content = hash_content(video)
        except OSError as error:
            raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
        path = build_path(folder, content=content, engine=engine, suffix=suffix)
        found = load(path)
        if found is None:
            _check_writable(folder)
            build(path)
            found = load(path)
    if found is None:
        raise EngineFailed("the index that was just written cannot be read")
    return found


def _check_writable(folder: Path) -> None:
    """Raise `EngineFailed` where nothing can be written, before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise EngineFailed(
            f"nothing can be kept in {folder}: {error.strerror}; name another folder by cache=, "
            "or by MEMORIES_CACHE on the command line"
        ) from error
