"""Media a call carries: a path, bytes or an open file, opened afresh for every attempt.

Nothing is read when a call is built, except the first bytes that tell a picture's format. A file is
remembered by size and modification time: one that changed between building and sending is refused
rather than sent, for the call was decided about another file.
"""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
import stat
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from attrs import field, frozen

from memories_async.errors import NotSent

Source = str | os.PathLike[str] | bytes | BinaryIO
"""What image, video and file arguments take."""

MB = 1024 * 1024
IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
}
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
)


class Reader(Protocol):
    """An open medium."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@runtime_checkable
class _Seekable(Protocol):
    """A caller's file, open for bytes."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = ..., /) -> int: ...
    def seekable(self) -> bool: ...
    def tell(self) -> int: ...


Opened = Path | bytes | _Seekable


@frozen(kw_only=True)
class Media:
    """One file of a request: what it is called on the wire, and where its bytes come from."""

    source: Opened = field(repr=lambda source: _shown(source))  # noqa: PLW0108  # defined below
    name: str
    """The file name sent, made by this library: a user's path never leaves the machine."""
    content_type: str
    size: int
    """Bytes, from *start* to the end."""
    start: int = 0
    """Where an open file stood when the call was built; every attempt begins there."""
    changed: int | None = None
    """Modification time of a path in nanoseconds when the call was built."""

    def open(self) -> Reader:
        """Open the bytes from their start; raise `NotSent` if a file is gone or was changed."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        if isinstance(self.source, Path):
            return self._open_path(self.source)
        if getattr(self.source, "closed", False):
            raise NotSent(f"the file of {self.name} was closed since the call was built")
        return _Rewound(self.source, self.start)

    def read(self) -> bytes:
        """Read everything; bytes in memory are returned as they are."""
        return self.source if isinstance(self.source, bytes) else b"".join(self.chunks())

    def chunks(self, size: int = MB) -> Iterator[bytes]:
        """Read everything, *size* bytes at a time."""
        reader = self.open()
        try:
            while chunk := reader.read(size):
                yield chunk
        finally:
            reader.close()

    def digest(self) -> str:
        """Hash the content (BLAKE2b, hex): the medium's part of a call's fingerprint."""
        digest = hashlib.blake2b(digest_size=20)
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def _open_path(self, path: Path) -> Reader:
        try:
            reader = path.open("rb", buffering=0)
        except OSError as error:
            raise NotSent(f"{path} cannot be opened: {error.strerror}") from None
        now = os.fstat(reader.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed):
            reader.close()
            raise NotSent(f"{path} was changed since the call was built; build it again")
        return reader


def prepare_image(argument: str, source: Source, *, name: str, max_size: int | None) -> Media:
    """Describe a picture, refusing what the service's page refuses.

    Allowed are .jpg, .jpeg, .png, .gif, .bmp and .webp, not empty, at most *max_size* bytes
    (seed "Search Clips by Image"). Bytes and nameless files are told by their first bytes.
    """
    opened = _checked(argument, source)
    size, start = _extent(argument, opened, max_size)
    suffix = _suffix(opened) or _sniffed(opened)
    if suffix not in IMAGE_TYPES:
        allowed = ", ".join(IMAGE_TYPES)
        raise ValueError(f"{argument} must be one of {allowed}, not {suffix or 'an unknown type'}")
    return Media(
        source=opened,
        name=f"{name}{suffix}",
        content_type=IMAGE_TYPES[suffix],
        size=size,
        start=start,
        changed=_changed(opened),
    )


def prepare_video(
    argument: str, source: Source, *, max_size: int | None, name: str = "video"
) -> Media:
    """Describe a video, called *name* and its extension: not empty, at most *max_size* bytes."""
    opened = _checked(argument, source)
    size, start = _extent(argument, opened, max_size)
    suffix = _suffix(opened) or ".mp4"
    content_type = mimetypes.guess_type(f"video{suffix}")[0] or ""
    if not content_type.startswith("video/"):
        raise ValueError(f"{argument} must have the extension of a video, not {suffix}")
    return Media(
        source=opened,
        name=f"{name.removesuffix(suffix)}{suffix}",
        content_type=content_type,
        size=size,
        start=start,
        changed=_changed(opened),
    )


def derive_name(source: Source) -> str:
    """The name of a path or file without its extension, fit to stand in a request; or `video`."""
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    found = Path(os.fspath(name)).stem if isinstance(name, str | os.PathLike) else ""
    return "".join(c for c in found if c.isprintable() and c not in '"\\') or "video"


def check_file_name(argument: str, name: str) -> str:
    """Check a file name that a caller made up: it stands in a header of the request."""
    if not name.strip() or not name.isprintable() or set(name) & set('"\\/'):
        raise ValueError(f"{argument} must be a file name without quotes and slashes, not {name!r}")
    return name


def _checked(argument: str, source: object) -> Opened:
    """Tell the three kinds of source apart, and refuse everything else."""
    if isinstance(source, bytes | bytearray):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return _regular(argument, Path(os.fspath(source)))
    if isinstance(source, io.TextIOBase) or not isinstance(source, _Seekable):
        kind = type(source).__name__
        raise TypeError(f"{argument} must be a path, bytes or a file open for bytes, not {kind}")
    if not source.seekable():
        raise ValueError(f"{argument} must be a file that can be rewound; pass its bytes instead")
    return source


def _regular(argument: str, path: Path) -> Path:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"{argument} cannot be read: {path}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{argument} must be a regular file: {path}")
    return path


def _extent(argument: str, source: Opened, max_size: int | None) -> tuple[int, int]:
    """Measure *source* in bytes from where it stands: size and start."""
    start = 0
    if isinstance(source, bytes):
        size = len(source)
    elif isinstance(source, Path):
        size = source.stat().st_size
    else:
        with _borrowed(source) as start:
            size = source.seek(0, os.SEEK_END) - start
    if size <= 0:
        raise ValueError(f"{argument} must not be empty")
    if max_size is not None and size > max_size:
        raise ValueError(f"{argument} must be at most {max_size:,} bytes, not {size:,}")
    return size, start


def _changed(source: Opened) -> int | None:
    return source.stat().st_mtime_ns if isinstance(source, Path) else None


def _suffix(source: Opened) -> str:
    if isinstance(source, Path):
        return source.suffix.lower()
    name = getattr(source, "name", "")
    return Path(name).suffix.lower() if isinstance(name, str) else ""


def _sniffed(source: Opened) -> str:
    head = _head(source)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for mark, suffix in _SIGNATURES if head.startswith(mark)), "")


def _head(source: Opened) -> bytes:
    if isinstance(source, bytes):
        return source[:12]
    if isinstance(source, Path):
        return b""
    with _borrowed(source):
        return source.read(12)


def _shown(source: object) -> str:
    return f"<{len(source)} bytes>" if isinstance(source, bytes) else repr(source)


_SHARED_FILES = threading.Lock()


@contextmanager
def _borrowed(file: _Seekable) -> Generator[int]:
    """Use a caller's file, alone, from where it stands, and put it back there."""
    # Several calls, and so several threads, may share one open file.
    with _SHARED_FILES:
        start = file.tell()
        try:
            yield start
        finally:
            file.seek(start)


class _Rewound:
    """A caller's open file, read from where it stood and left as it was: its owner closes it."""

    def __init__(self, file: _Seekable, start: int) -> None:
        self._file = file
        self._at = start

    def read(self, size: int, /) -> bytes:
        with _borrowed(self._file):
            self._file.seek(self._at)
            chunk = self._file.read(size)
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """Leave the file to its owner."""
