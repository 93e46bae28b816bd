"""Cache of what an engine computed from a video: one file each, named by content and engine."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["PROGRESS", "CacheFailed", "build_path", "hash_content", "load_or_build", "write_file"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS = ".progress"
"""Ending of the file beside a result in which the share of it that is done stands."""


def hash_content(path: Path) -> str:
    """Hash the file at *path* by SHA-256, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_path(folder: Path, *, content: str, engine: str, suffix: str = ".npz") -> Path:
    """Build the path in *folder* of what *engine* computed from *content*, a hash."""
    return folder / f"{content[:40]}-{engine.replace('/', '-')}{suffix}"


class CacheFailed(EngineFailed):
    """Nothing can be written to a cache folder: it is full, read-only, or no folder."""


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let *write* fill a file beside *path*, then move it there: no reader sees half of one.

    Raises `CacheFailed` where the file system refuses.
    """
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        draft = Path(name)
        with os.fdopen(number, "wb") as file:
            write(file)
        draft.replace(path)
    except BaseException as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CacheFailed(f"nothing can be kept in {path.parent}: {error.strerror}") from error
        raise


def load_or_build(
    video: Path,
    folder: Path | None,
    *,
    engine: str,
    suffix: str = ".npz",
    load: Callable[[Path], T | None],
    build: Callable[[Path], None],
    spare: Callable[[], Path] | None = None,
) -> T:
    """Load from *folder* what *engine* computed from *video*; *build* it there first if need be.

    Without a folder, or where nothing can be written to it, it is built in the folder that *spare*
    returns or, without one, for this once. Raises `UnreadableVideo`, `EngineFailed`.
    """
    try:
        content = hash_content(video)
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error

    def try_folder(place: Path) -> T:
        path = build_path(place, content=content, engine=engine, suffix=suffix)
        found = _load(path, load)
        if found is None:
            # Before anything is computed.
            write_file(path.with_suffix(".probe"), lambda file: file.write(b"probe"))
            path.with_suffix(".probe").unlink(missing_ok=True)
            build(path)
            found = _load(path, load)
        if found is None:
            raise EngineFailed("the index that was just written cannot be read")
        return found

    if folder is not None:
        try:
            return try_folder(folder)
        except CacheFailed as error:
            _log.warning("%s; what is computed is not cached", error.reason)
    if spare is not None:
        return try_folder(spare())
    with tempfile.TemporaryDirectory() as name:
        return try_folder(Path(name))


def _load(path: Path, load: Callable[[Path], T | None]) -> T | None:
    """Load the file at *path*; None where the folder cannot even be read."""
    try:
        return load(path)
    except OSError:
        return None
