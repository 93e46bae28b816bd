"""A lease in PostgreSQL that shows whether the process which is sending an entry's call still runs.

Hosts share no lock files. A process renews its lease while it owns entries; the server's clock decides
when the lease has ended. A process whose lease has ended sends nothing more: its name is dead, and
`EntryWriter.begin` refuses every entry that was claimed under it.
"""

from __future__ import annotations

import secrets
import threading
import time
from weakref import ref

from attrs import define, field, frozen

from memories_async._database.database import Database
from memories_async._database.file import DatabaseFailed
from memories_async._database.group_commit import Connection
from memories_async._instances import Instances
from memories_async.events import logger

DURATION = 30.0
"""Seconds after its last renewal at which a lease ends."""
TRUSTED = 1.0
"""Seconds for which a lease is claimed under without another look at it."""


@define(eq=False)
class OwnerLease:
    """This process's lease on the entries of one database; a forked child gets one of its own."""

    database: Database
    name: str = field(default="", init=False)
    """Under which this process owns entries; empty until it does."""
    checked_at: float = field(default=0.0, init=False)
    """When it was last seen not to have ended, by the monotonic clock."""
    _stopping: threading.Event = field(factory=threading.Event, init=False)
    """Ends the thread that renews the lease."""

    def __attrs_post_init__(self) -> None:
        leases.add(self)

    def within(self, connection: Connection) -> LeaseTable:
        """Return what a transaction needs to know of the leases."""
        return LeaseTable(connection, self)

    def hold(self, name: str) -> None:
        """Renew the lease *name* from now on. Only the writer thread calls it."""
        self._stopping.set()
        self.name, self.checked_at, self._stopping = name, 0.0, threading.Event()
        threading.Thread(
            target=_renew,
            args=(ref(self), self._stopping),
            name="memories_async lease",
            daemon=True,
        ).start()

    def is_renewed_by(self, stopping: threading.Event) -> bool:
        """Whether the thread that *stopping* ends is the one for the lease held now."""
        return self._stopping is stopping

    def renew(self) -> None:
        """Postpone the end of the lease, if it has not ended."""
        self.database.write_now(
            lambda db: db.execute(
                f"UPDATE owners SET expires_at = {_EXPIRY}"  # noqa: S608  # a constant
                " WHERE name = ? AND expires_at > clock_timestamp()",
                (DURATION, self.name),
            )
        )

    def release(self) -> None:
        """End the lease; may be called twice."""
        name = self.name
        self._stopping.set()
        self.abandon()
        if name:
            try:
                self.database.write_now(lambda db: self.within(db).release_dead(name))
            except DatabaseFailed as error:
                logger.warning("the lease ends by itself in %.0f s: %s", DURATION, error)

    def abandon(self) -> None:
        """Renew the lease no more: a forked child must not use its parent's."""
        self.name, self.checked_at, self._stopping = "", 0.0, threading.Event()


_EXPIRY = "clock_timestamp() + make_interval(secs => ?)"


@frozen
class LeaseTable:
    """The leases of all processes, within one transaction."""

    connection: Connection
    lease: OwnerLease

    def acquire(self) -> str:
        """Return the name of this process's lease, which is a new one where the last has ended."""
        lease = self.lease
        # A claim under a lease that has just ended harms nobody: `begin` looks by itself.
        if lease.name and time.monotonic() < lease.checked_at + TRUSTED:
            return lease.name
        if lease.name and self.is_alive(lease.name):
            lease.checked_at = time.monotonic()
            return lease.name
        name = secrets.token_hex(6)
        self.connection.execute(
            f"INSERT INTO owners VALUES (?, {_EXPIRY})",  # noqa: S608  # a constant
            (name, DURATION),
        )
        self.lease.hold(name)
        return name

    def is_alive(self, name: str) -> bool:
        """Whether the lease *name* has not ended."""
        row = self.connection.execute(
            "SELECT 1 FROM owners WHERE name = ? AND expires_at > clock_timestamp()", (name,)
        ).fetchone()
        if row is None and name == self.lease.name:
            self.lease.checked_at = 0.0
        return row is not None

    def release_dead(self, name: str) -> None:
        """Delete a lease."""
        self.connection.execute("DELETE FROM owners WHERE name = ?", (name,))


def _renew(lease: ref[OwnerLease], stopping: threading.Event) -> None:
    while not stopping.wait(DURATION / 3):
        held = lease()
        if held is None or not held.is_renewed_by(stopping):
            return
        try:
            held.renew()
        except DatabaseFailed as error:
            logger.warning("the lease on the ledger's entries is not renewed: %s", error)
        del held


leases = Instances[OwnerLease](in_child=OwnerLease.abandon, at_exit=OwnerLease.release)
