"""Finds the files that the calls of a ledger are about, and says which of them browsers play."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_SUFFIXES = {
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"),
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"),
}
_PLAYED = {"h264", "vp8", "vp9", "av1"}
_CONTAINERS = {"mp4", "webm"}
_EIGHT_BITS = {"yuv420p", "yuvj420p", "nv12"}


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


def explain_unplayable(
    *, suffix: str, formats: Collection[str], codec: str, long_name: str, pixels: str
) -> str:
    """Say what of a video most browsers do not play; empty where they play it.

    *formats* are FFmpeg's names of the container, *codec* and *long_name* its names of the codec, and
    *pixels* its name of the pixel format.
    """
    if codec not in _PLAYED:
        return f"video in {long_name or codec}"
    if codec == "h264" and pixels and pixels not in _EIGHT_BITS:
        return f"H.264 video with pixels in {pixels}"
    # FFmpeg has one name for Matroska and WebM, of which browsers play WebM.
    if "matroska" in formats and suffix.lower() != ".webm":
        return "Matroska (MKV) files"
    if not _CONTAINERS & {*formats}:
        return f"files in the format {'/'.join(sorted(formats))}"
    return ""
