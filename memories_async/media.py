"""Media of a call: a path, bytes or an open file, opened anew for every attempt.

Building a call reads nothing but the first bytes that tell a picture's format. The size and the
modification time of a path are recorded; a file that changed between building and sending is not sent,
because the call was built for another content.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from memories_async._protocol.media_types import IMAGE_SIGNATURES, IMAGE_TYPES, VIDEO_TYPES
from memories_async._protocol.open_file import BinaryFile, SharedReader, borrow, is_binary_file
from memories_async.errors import NotSent

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile
"""What image, video and file arguments take: a path, bytes in memory, or a file open for bytes."""

MB = 1024 * 1024
_DOWNLOAD = "download it first"
_ID = re.compile(r"(VI|PI|re_)[0-9]+")
"""Ids as memories.ai docs, "Search Clips by Image" and "Generate Video Embedding", show them."""


class Reader(Protocol):
    """An open medium."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


_Content = Path | bytes | BinaryFile


@frozen(kw_only=True)
class Media:
    """One file of a request: its name in the request, and where its bytes come from."""

    source: _Content = field(
        repr=lambda it: f"<{len(it)} bytes>" if type(it) is bytes else repr(it)
    )
    name: str
    """The file name that is sent. A caller's path is not sent."""
    content_type: str
    size: int
    """Bytes, from *start* to the end."""
    start: int = 0
    """The position of an open file when the call was built; every attempt begins there."""
    modified_at: int | None = None
    """The modification time of a path in nanoseconds when the call was built."""
    identity: str | None = None
    """What stands for the content in the identity of a call, where equal content may have other
    bytes: a piece of a film, which is encoded anew."""

    def open(self) -> Reader:
        """Open the bytes from their start; raise `NotSent` if a file is gone or has changed."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        if not isinstance(self.source, Path):
            if getattr(self.source, "closed", False):
                raise NotSent(f"the file of {self.name} was closed since the call was built")
            return SharedReader(self.source, self.start)
        try:
            reader = self.source.open("rb", buffering=0)
        except OSError as error:
            raise NotSent(f"{self.source} cannot be opened: {error.strerror}") from None
        now = os.fstat(reader.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_at):
            reader.close()
            raise NotSent(f"{self.source} was changed since the call was built; build it again")
        return reader

    @property
    def label(self) -> str:
        """What messages call the medium: its path, or the name that is sent."""
        return str(self.source) if isinstance(self.source, Path) else self.name

    def read_bytes(self) -> bytes:
        """Read everything; raise `NotSent` if a file changes meanwhile. Bytes are not copied."""
        if isinstance(self.source, bytes):
            return self.source
        content = b"".join(self.chunks())
        if len(content) == self.size:
            return content
        raise NotSent(f"{self.label} was changed since the call was built; build it again")

    def chunks(self, size: int = MB) -> Iterator[bytes]:
        """Read everything, at most *size* bytes at a time."""
        with closing(self.open()) as reader:
            while chunk := reader.read(size):
                yield chunk

    def digest(self) -> str:
        """Hash the content (BLAKE2b, hex) for the fingerprint of a call."""
        if self.identity is not None:
            return self.identity
        digest = hashlib.blake2b(digest_size=20)
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def prepare_image(argument: str, source: Source, *, name: str, max_size: int | None) -> Media:
    """Describe a picture; raise `ValueError` for one that the service refuses.

    Allowed are .jpg, .jpeg, .png, .gif, .bmp and .webp, not empty, at most *max_size* bytes
    (memories.ai docs, "Search Clips by Image"). The type of bytes, and of a file without a name, is
    read from their first bytes.
    """
    content, size, start = _measure(argument, source, max_size)
    suffix = _find_suffix(content)
    if suffix not in IMAGE_TYPES:
        # The name of an open file, such as one in an archive, need not be the picture's.
        suffix = _sniff_suffix(content) or suffix
    if suffix not in IMAGE_TYPES:
        allowed = ", ".join(IMAGE_TYPES)
        raise ValueError(f"{argument} must be one of {allowed}, not {suffix or 'an unknown type'}")
    return _describe(content, f"{name}{suffix}", IMAGE_TYPES[suffix], size, start)


def prepare_video(
    argument: str,
    source: Source,
    *,
    max_size: int | None,
    name: str = "video",
    instead: str = _DOWNLOAD,
) -> Media:
    """Describe a video called *name* plus its extension: not empty, at most *max_size* bytes.

    Raises `ValueError` for anything else; the error says what to do with a URL *instead*. Bytes, and
    a file without a name, count as .mp4.
    """
    content, size, start = _measure(argument, source, max_size, instead)
    suffix = _find_suffix(content) or ".mp4"
    if suffix not in VIDEO_TYPES:
        raise ValueError(f"{argument} must have the extension of a video, not {suffix}")
    file_name = f"{name.removesuffix(suffix)}{suffix}"
    return _describe(content, file_name, VIDEO_TYPES[suffix], size, start)


def prepare_file(argument: str, source: Source) -> Media:
    """Describe a file of any kind that is not empty; its name is sent without its folder."""
    content, size, start = _measure(argument, source, None)
    suffix = _find_suffix(content)
    file_name = f"{derive_name(source).removesuffix(suffix)}{suffix}"
    return _describe(content, file_name, "application/octet-stream", size, start)


def _describe(content: _Content, name: str, content_type: str, size: int, start: int) -> Media:
    modified_at = content.stat().st_mtime_ns if isinstance(content, Path) else None
    return Media(
        source=content,
        name=name,
        content_type=content_type,
        size=size,
        start=start,
        modified_at=modified_at,
    )


def derive_name(source: Source) -> str:
    """Return the name of a path or file without extension, safe in a header; `video` if none."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    stem = Path(os.fspath(name)).stem if isinstance(name, str | os.PathLike) else ""
    return clean_name(stem) or "video"


def clean_name(name: str) -> str:
    """Return the characters of *name* that are safe in a file name of a request; maybe none."""
    return "".join(c for c in name if c.isprintable() and c not in '"\\/').strip(" .")[:100]


def check_file_name(argument: str, name: str) -> str:
    """Return *name* if it is safe in a header of the request; otherwise raise `ValueError`."""
    if not name.strip() or not name.isprintable() or set(name) & set('"\\/'):
        raise ValueError(f"{argument} must be a file name without quotes and slashes, not {name!r}")
    return name


def _check_source(argument: str, source: object, instead: str) -> _Content:
    """Return *source* as a path, bytes or a file; raise if it is nothing of these."""
    if isinstance(source, bytes | bytearray):
        return bytes(source)
    if isinstance(source, memoryview):
        return source.tobytes()
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source))
        try:
            mode = path.stat().st_mode
        except OSError as error:
            if str(path).lower().startswith(("http:/", "https:/")):  # a path joins slashes
                raise ValueError(f"{argument} must be a file, not a URL: {instead}") from None
            if _ID.fullmatch(str(path)):
                raise ValueError(f"{argument} must be a file, not the id {path}") from None
            raise ValueError(f"{argument} cannot be read: {path}: {error.strerror}") from None
        if not stat.S_ISREG(mode):
            raise ValueError(f"{argument} must be a regular file: {path}")
        return path
    # A file open for text, also inside a wrapper, has an encoding.
    if hasattr(source, "encoding") or not is_binary_file(source):
        kind = type(source).__name__
        raise TypeError(f"{argument} must be a path, bytes or a file open for bytes, not {kind}")
    # `mmap` has no `seekable` before Python 3.13, and can be rewound.
    seekable = getattr(source, "seekable", None)
    if seekable is not None and not seekable():
        raise ValueError(f"{argument} must be a file that can be rewound; pass its bytes instead")
    return source


def _measure(
    argument: str, source: object, max_size: int | None, instead: str = _DOWNLOAD
) -> tuple[_Content, int, int]:
    """Return the content of *source*, its size in bytes from its start, and that start."""
    content = _check_source(argument, source, instead)
    if isinstance(content, bytes):
        size, start = len(content), 0
    elif isinstance(content, Path):
        size, start = content.stat().st_size, 0
    else:
        with borrow(content) as start:
            content.seek(0, os.SEEK_END)
            size = content.tell() - start
    if size <= 0:
        raise ValueError(f"{argument} must not be empty")
    if max_size is not None and size > max_size:
        raise ValueError(f"{argument} must be at most {max_size:,} bytes, not {size:,}")
    return content, size, start


def _find_suffix(content: _Content) -> str:
    name = content if isinstance(content, Path) else getattr(content, "name", "")
    return Path(name).suffix.lower() if isinstance(name, str | Path) else ""


def _sniff_suffix(content: _Content) -> str:
    """Return the extension that the first bytes of a picture stand for, or nothing."""
    if isinstance(content, Path):
        return ""  # the service decides by the extension of a file
    if isinstance(content, bytes):
        head = content[:12]
    else:
        with borrow(content):
            head = content.read(12)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for mark, suffix in IMAGE_SIGNATURES if head.startswith(mark)), "")


__all__ = [
    "MB",
    "BinaryFile",
    "Media",
    "Reader",
    "Source",
    "check_file_name",
    "clean_name",
    "derive_name",
    "prepare_file",
    "prepare_image",
    "prepare_video",
]
