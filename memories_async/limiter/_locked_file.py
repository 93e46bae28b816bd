"""A private file that one thread of one process holds at a time, by `flock`.

It is read and written by `pread` and `pwrite`, not memory-mapped: a mapping that somebody truncates
kills the process, and a read of 8 KB costs 2 us.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from errno import ELOOP
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import define, field

ROOT = 0
"""The user whom everybody has to trust."""


class NotTrustedError(Exception):
    """The file belongs to another user, in a folder where that user could place it."""


@define(eq=False)
class LockedFile:
    """Stays open between uses, but not across a fork: parent and child would share one lock."""

    path: str
    build_content: Callable[[bool], bytes]
    """Builds the content of a file that is missing, told whether this process has used it before."""
    number: int = field(default=-1, init=False)
    """The open file's descriptor; -1 while there is none."""
    size: int = field(default=0, init=False)
    """Its size when it was acquired."""
    _identity: tuple[int, int] = field(default=(0, 0), init=False)
    _has_opened: bool = field(default=False, init=False)
    _mutex: threading.Lock = field(factory=threading.Lock, init=False)
    _fcntl: Any = field(default=None, init=False)

    def acquire(self, patience: float) -> bool:
        """Hold the file for this thread; False if others hold it for *patience* seconds."""
        # A lock belongs to the open file, which the threads of this process share.
        if not self._mutex.acquire(blocking=patience > 0, timeout=patience if patience > 0 else -1):
            return False
        is_locked = False
        try:
            is_locked = self._lock(patience)
        finally:
            if not is_locked:
                self._mutex.release()
        return is_locked

    def release(self) -> None:
        """Let others hold the file."""
        self._fcntl.flock(self.number, self._fcntl.LOCK_UN)
        self._mutex.release()

    def forget(self) -> None:
        """Close a forked child's copy, and leave the parent's lock alone."""
        self._close()
        self._mutex = threading.Lock()

    def _lock(self, patience: float) -> bool:
        until = time.monotonic() + patience
        while True:
            if self.number < 0:
                self._open()
            try:
                self._fcntl.flock(self.number, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.0001)
                continue
            try:
                found = os.lstat(self.path)
            except FileNotFoundError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == self._identity:
                self.size = found.st_size
                return True
            # Somebody removed the file, or put another in its place.
            self._close()

    def _open(self) -> None:
        self._fcntl = import_module("fcntl")
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.number = os.open(self.path, flags)
        except FileNotFoundError:
            self._create()
            self.number = os.open(self.path, flags)
        self._has_opened = True
        found, folder = os.fstat(self.number), Path(self.path).parent.stat()
        self._identity = found.st_dev, found.st_ino
        if folder.st_mode & stat.S_IWOTH and found.st_uid not in {os.geteuid(), ROOT}:
            self._close()
            raise NotTrustedError("belongs to another user, in a folder that is open to all")

    def _create(self) -> None:
        """Create the file with its content at once: one that is empty was emptied."""
        temporary = f"{self.path}.{secrets.token_hex(8)}"
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(number, 0o600)  # the umask may take the owner's rights away, too
            os.pwrite(number, self.build_content(self._has_opened), 0)
            os.link(temporary, self.path)
        except FileExistsError:
            pass  # another process was faster
        finally:
            os.close(number)
            Path(temporary).unlink()

    def _close(self) -> None:
        if self.number >= 0:
            os.close(self.number)
        self.number = -1


def explain(error: OSError) -> str:
    """Say why the file cannot be used."""
    return "is a symbolic link" if error.errno == ELOOP else error.strerror or str(error)
