"""A caller's open file, which several calls, and so several threads, may read."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, TypeGuard

from attrs import define


class BinaryFile(Protocol):
    """A file open for bytes that can be read from any position: what `open(path, "rb")` returns.

    `io.BytesIO`, temporary files, files inside zip or gzip archives, FastAPI's `UploadFile.file` and
    `mmap.mmap` are such files, too.
    """

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        ...

    def seek(self, offset: int, whence: int, /) -> object:
        """Move to another position."""
        ...

    def tell(self) -> int:
        """Return the position."""
        ...


def is_binary_file(source: object) -> TypeGuard[BinaryFile]:
    """Whether *source* has the methods of a file; also those that it passes on to another one."""
    return all(callable(getattr(source, name, None)) for name in ("read", "seek", "tell"))


_SHARED_FILES = threading.Lock()


@contextmanager
def borrow(file: BinaryFile) -> Generator[int]:
    """Lock a caller's file, yield its position, and restore the position afterwards."""
    with _SHARED_FILES:
        start = file.tell()
        try:
            yield start
        finally:
            file.seek(start, os.SEEK_SET)


@define(eq=False)
class SharedReader:
    """Reads a caller's open file and restores its position after each read. It never closes it."""

    file: BinaryFile
    position: int

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        with borrow(self.file):
            self.file.seek(self.position, os.SEEK_SET)
            chunk = self.file.read(size)
        self.position += len(chunk)
        return chunk

    def close(self) -> None:
        """Do nothing: the caller closes the file."""
