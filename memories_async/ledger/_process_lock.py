"""A lock file that shows whether the process which is sending an entry's call still runs.

An entry that is being sent names its owner. The kernel drops the lock when the process ends, however
it ends, so other processes can tell a reply that is still to come from one that nobody will record.
Process ids cannot: they are reused, and they differ between containers that share a file.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from attrs import define, field

from memories_async._database.file import create_private
from memories_async._database.group_commit import Connection
from memories_async._instances import Instances

if sys.platform == "win32":
    import msvcrt

    def lock_file(handle: int, *, is_shared: bool = False) -> None:  # noqa: ARG001
        """Lock *handle* until it is closed; raises `BlockingIOError` where another one holds it."""
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from error

else:
    import fcntl

    def lock_file(handle: int, *, is_shared: bool = False) -> None:
        """Lock *handle* until it is closed; raises `BlockingIOError` where another one holds it."""
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind | fcntl.LOCK_NB)


class OwnerLock(Protocol):
    """Tells whether those whom entries name as their owners still run, within one transaction."""

    def acquire(self) -> str:
        """Return the name under which this process owns entries."""
        ...

    def is_alive(self, name: str) -> bool:
        """Whether the process that owns entries as *name* still runs."""
        ...

    def release_dead(self, name: str) -> None:
        """Remove what is left of a process that has ended."""
        ...


@define(eq=False)
class ProcessLock:
    """This process's lock beside one ledger file; a forked child acquires one of its own."""

    ledger: Path
    _name: str = field(default="", init=False)
    _handle: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        locks.add(self)

    def within(self, connection: Connection) -> Self:  # noqa: ARG002  # as `OwnerLease` has it
        """Return the lock itself: it needs no database."""
        return self

    def acquire(self) -> str:
        """Return the lock's name, taking the lock at first use. Only the writer thread calls it."""
        if self._handle < 0:
            self._name = secrets.token_hex(6)
            self._handle = create_private(self._path(self._name), os.O_EXCL)
            lock_file(self._handle)
        return self._name

    def is_alive(self, name: str) -> bool:
        """Whether the process that holds the lock *name* still runs."""
        if name == self._name:
            return True
        try:
            # Python's descriptors are not inherited by the programs that it starts.
            handle = os.open(self._path(name), os.O_RDONLY)
        except FileNotFoundError:
            return False
        except PermissionError:  # another user's: whoever cannot tell does not take it over
            return True
        try:
            lock_file(handle, is_shared=True)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def release_dead(self, name: str) -> None:
        """Remove the lock file of a process that has ended."""
        with suppress(OSError):  # gone already, or in a folder that takes no writes
            self._path(name).unlink()

    def release(self) -> None:
        """Remove the lock file and drop the lock; may be called twice."""
        name = self._name
        self.remove_file()
        self.abandon()
        if name and sys.platform == "win32":  # it removes no file that is open
            self.release_dead(name)

    def remove_file(self) -> None:
        """Remove the lock file; the lock itself ends with this process."""
        if self._name:
            self.release_dead(self._name)

    def abandon(self) -> None:
        """Close the lock file without removing it: a forked child must not hold its parent's lock."""
        handle, self._handle, self._name = self._handle, -1, ""
        if handle >= 0:
            os.close(handle)

    def _path(self, name: str) -> Path:
        return self.ledger.with_name(f"{self.ledger.name}-owner-{name}")


locks = Instances[ProcessLock](in_child=ProcessLock.abandon, at_exit=ProcessLock.remove_file)
