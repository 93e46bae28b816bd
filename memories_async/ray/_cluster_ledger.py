"""A SQLite ledger in an actor: for a cluster whose nodes share neither a disk nor PostgreSQL.

The actor runs one move at a time for whoever asks, and keeps nothing but leases in its memory. All it
knows of calls is in its file, so an actor that is started again has lost nothing. A process that sends
calls renews its lease. One whose lease has ended sends nothing more: `begin` refuses it, and what it
was sending becomes unknown.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from weakref import ref

from attrs import define, field, frozen

from memories_async._database.database import POLL
from memories_async._database.file import DatabaseFailed
from memories_async._database.open import open_database
from memories_async.events import logger
from memories_async.ledger import Ledger
from memories_async.ledger._coordinator import Coordinator
from memories_async.ledger._reader import EntryReader
from memories_async.ledger._schema import SCHEMA
from memories_async.ledger._store import EntryStore, EntryWriter
from memories_async.ray._libraries import ray

T = TypeVar("T")

LEASE = 10.0
"""Seconds after its last sign of life for which a process counts as running."""
RETRIES = 600
"""How often the actor is asked again, every tenth of a second, while it is started again."""


@frozen
class _Leases:
    """Who counts as running, by what the actor has heard since it was started."""

    owner: str
    """The process on whose behalf a move runs."""
    heard: dict[str, float]
    began: float

    def acquire(self) -> str:
        """Return the name of the process that asks."""
        return self.owner

    def is_alive(self, name: str) -> bool:
        """Whether the process *name* was heard of in time; a new actor gives everyone that long."""
        return time.monotonic() - self.heard.get(name, self.began) < LEASE

    def release_dead(self, name: str) -> None:
        """Forget a process that has ended."""
        self.heard.pop(name, None)


class LedgerActor:
    """Runs the moves of all processes of a cluster on one file."""

    def __init__(self, path: str) -> None:
        self._database = open_database(path, (SCHEMA,))
        self._heard: dict[str, float] = {}
        self._began = time.monotonic()

    def renew(self, owner: str) -> None:
        """Note that the process *owner* runs."""
        self._heard[owner] = time.monotonic()

    def release(self, owner: str) -> None:
        """Note that the process *owner* ends: nobody finishes what it was sending."""
        self._heard[owner] = float("-inf")

    def run(
        self, owner: str, move: str, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Run one *move* of the process *owner* in a transaction.

        Ray runs it again where the actor ended before it answered, so a `begin` that this process
        has had committed already succeeds.
        """
        self.renew(owner)
        leases = _Leases(owner, self._heard, self._began)

        def work(connection: Any) -> Any:
            moves = EntryWriter(connection, leases)
            if move == "begin" and moves.has_begun(arguments[0], owner):
                return True
            return getattr(moves, move)(*arguments, **options)

        try:
            return self._database.write_now(work), None
        except (DatabaseFailed, KeyError, ValueError) as error:
            return None, error


class _Remote:
    """The moves of `EntryWriter` and `EntryReader`, each run by the actor."""

    def __init__(self, store: ActorStore) -> None:
        self._store = store

    def __getattr__(self, move: str) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            return self._store.run(move, arguments, options)

        return run


@frozen
class _NoNews:
    """Says nothing of what other processes record, so whoever waits looks again."""

    def mark(self) -> None:
        """Return no mark."""

    async def wait_for(self, _key: str, _mark: int | None) -> None:
        """Wait until another look is worth while."""
        await asyncio.sleep(POLL)


@define(eq=False)
class _ProcessLease:
    """The name under which this process owns entries; a fork of it has another."""

    actor: Any
    name: str = field(default="", init=False)
    _process: int = field(default=0, init=False)

    def hold(self) -> str:
        """Return the name; a thread renews its lease from the first use on."""
        if not self.is_held():
            self.name, self._process = secrets.token_hex(6), os.getpid()
            threading.Thread(
                target=_renew, args=(ref(self), self.name), name="memories_async lease", daemon=True
            ).start()
        return self.name

    def is_held(self) -> bool:
        """Whether this process has a name."""
        return self._process == os.getpid()

    def release(self) -> None:
        """Give the name up: nobody finishes what was sent under it."""
        if self.is_held():
            self._process = 0
            if ray.is_initialized():  # else a lease that nobody renews ends by itself
                ray.get(self.actor.release.remote(self.name))


def _renew(lease: ref[_ProcessLease], name: str) -> None:
    while True:
        time.sleep(LEASE / 4)
        held = lease()
        # Ray would connect again, or start a cluster, for whoever calls an actor after its shutdown.
        if held is None or held.name != name or not held.is_held() or not ray.is_initialized():
            return
        try:
            ray.get(held.actor.renew.remote(name))
        except Exception as error:  # noqa: BLE001  # Ray raises many kinds; the next round tries again
            logger.warning("the lease of the ledger is not renewed: %s", type(error).__name__)
        del held


@frozen(eq=False)
class ActorStore(EntryStore):
    """The moves of this process; each is a transaction of its own."""

    database: Any = field(factory=_NoNews, init=False)
    lock: Any = field(default=None, init=False)
    lease: _ProcessLease

    def run(self, move: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Have the actor run *move*; raise what it raised there, and `DatabaseFailed` without it."""
        if not ray.is_initialized():
            raise DatabaseFailed("the actor of the ledger has ended: Ray was shut down")
        owner, run = self.lease.hold(), self.lease.actor.run
        for _ in range(RETRIES):
            try:
                value, error = ray.get(run.remote(owner, move, arguments, options))
            except ray.exceptions.RayActorError:
                time.sleep(0.1)
                continue
            if error is not None:
                raise error
            return value
        raise DatabaseFailed("the actor of the ledger does not answer")

    async def write(self, move: Callable[[EntryWriter], T]) -> T:
        """Run *move*, each step of it in a transaction."""
        return await asyncio.to_thread(self.write_now, move)

    def write_now(self, move: Callable[[EntryWriter], T]) -> T:
        """Do as `write` does, blocking this thread."""
        moves: Any = _Remote(self)
        return move(moves)

    async def read(self, look: Callable[[EntryReader], T]) -> T:
        """Run *look*, which only reads."""
        return await asyncio.to_thread(self.read_now, look)

    def read_now(self, look: Callable[[EntryReader], T]) -> T:
        """Do as `read` does, blocking this thread."""
        reader: Any = _Remote(self)
        return look(reader)

    def close(self) -> None:
        """Give up this process's lease; the actor goes on for the others."""
        self.lease.release()


class ClusterLedger(Ledger):
    """A ledger whose file belongs to an actor; it pickles as a handle of that actor."""

    def __init__(self, path: str | os.PathLike[str], actor: Any) -> None:
        self.path = Path(path)
        self.actor: Any = actor
        self.coordinator = Coordinator(ActorStore(_ProcessLease(actor)))
        self._copy = None

    def __reduce__(self) -> tuple[type[Self], tuple[Path | None, Any]]:
        return type(self), (self.path, self.actor)

    def __repr__(self) -> str:
        return f"cluster_ledger({str(self.path)!r})"

    def __getattr__(self, name: str) -> Any:
        """Say of the database, which only the actor has, what a receiver takes instead."""
        if name == "database":
            raise AttributeError(
                f"{self!r} has its file in an actor, where a receiver cannot keep callbacks: give "
                "Receiver(store=...) a path or a postgresql:// URL"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def cluster_ledger(path: str | os.PathLike[str]) -> Ledger:
    """Return the ledger in the file *path* of this node, for all nodes of a Ray cluster.

    A named actor on this node owns the file, is started again when it dies, and ends with the driver.
    Pass the ledger to `Client(ledger=...)`; it pickles into the workers. Each move is a message to the
    actor. Raises `RuntimeError` where Ray is not initialised, and `DatabaseFailed` where the actor
    cannot be reached for a minute.
    """
    if not ray.is_initialized():
        raise RuntimeError("cluster_ledger needs a cluster: call ray.init() first")
    file = Path(path).absolute()
    name = hashlib.sha256(str(file).encode()).hexdigest()[:16]
    node = ray.get_runtime_context().get_node_id()
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    actor = ray.remote(LedgerActor).options(
        name=f"memories_async ledger {name}",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=32,
        scheduling_strategy=affinity,
    )
    return ClusterLedger(file, actor.remote(str(file)))
