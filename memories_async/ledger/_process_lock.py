"""Who is at work on a ledger's entries: a lock that ends with its process, however it ends.

An entry that is being sent names its owner. The kernel drops the lock of a process that was killed,
so that others can tell an answer still to come from one that nobody waits for any more. Process ids
cannot: they are used again, and they differ between containers that share a file.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
from pathlib import Path
from weakref import WeakSet

from attrs import define, field


@define(eq=False)
class Owner:
    """This process's mark on one ledger; a forked child takes a mark of its own."""

    ledger: Path
    _name: str = field(default="", init=False)
    _handle: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        _live.add(self)

    def name(self) -> str:
        """Return the mark, taking it at first use. Only the ledger's writer asks."""
        if self._handle < 0:
            self._name = secrets.token_hex(6)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._handle = os.open(self._path(self._name), flags, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._name

    def is_alive(self, name: str) -> bool:
        """Whether the owner called *name* may still finish what it began."""
        if name == self._name:
            return True
        try:
            handle = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def bury(self, name: str) -> None:
        """Remove what a dead owner left beside the ledger."""
        self._path(name).unlink(missing_ok=True)

    def bury_own(self) -> None:
        """Remove our own mark, which ends with this process."""
        if self._name:
            self.bury(self._name)

    def leave(self) -> None:
        """Give the mark up; may be called twice."""
        self.bury_own()
        self.let_go()

    def let_go(self) -> None:
        """Drop the lock as seen from here: a forked child must not keep its parent alive."""
        handle, self._handle, self._name = self._handle, -1, ""
        if handle >= 0:
            os.close(handle)

    def _path(self, name: str) -> Path:
        return self.ledger.with_name(f"{self.ledger.name}-owner-{name}")


_live: WeakSet[Owner] = WeakSet()


def _let_all_go() -> None:
    for owner in [*_live]:
        owner.let_go()


def _bury_all() -> None:
    for owner in [*_live]:
        owner.bury_own()


os.register_at_fork(after_in_child=_let_all_go)
atexit.register(_bury_all)
