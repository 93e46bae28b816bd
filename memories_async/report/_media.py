"""Finds the files that the calls of a ledger are about, by name and by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_SUFFIXES = {
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"),
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"),
}


def index_media(paths: Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """List files under every key by which a ledger may name them, for `Report(media=...)`.

    *paths* are files, or folders that are searched with their subfolders. The keys of a file are its
    name, its name without the suffix (so `VI62.mp4` is the video VI62), and the hash of its content,
    which a ledger keeps of the pictures and videos that were sent. Each file is read once. Raises
    `ValueError` for a path that does not exist.
    """
    found: dict[str, Path] = {}
    for file in _list_files(paths):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=20))
        for key in (file.name, file.stem, digest.hexdigest()):
            found.setdefault(key, file)
    return found


def _list_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_file():
            yield path
        elif path.is_dir():
            inside = sorted(path.rglob("*"))
            yield from (one for one in inside if one.suffix.lower() in _SUFFIXES and one.is_file())
        else:
            raise ValueError(f"paths: {path} is neither a file nor a folder")
