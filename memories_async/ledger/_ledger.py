"""The ledger: a durable record of calls and their answers, so that nothing is paid twice.

The intent to send is committed before the first byte of an attempt leaves, the raw reply before the
caller sees an answer. A call that was being sent when its process ended is *unknown*: the service
has no way to look a call up, so the ledger lists it, and sends it again only when told to.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Self, TypeVar
from weakref import finalize

from memories_async._database.database import Database
from memories_async._database.file import NotWritable, copy_file, explain
from memories_async._database.open import open_database
from memories_async._database.sqlite import SqliteDatabase
from memories_async._protocol.call import Call
from memories_async.ledger._claims import Claimed
from memories_async.ledger._coordinator import Coordinator
from memories_async.ledger._export import export, read_vector
from memories_async.ledger._lease import OwnerLease
from memories_async.ledger._process_lock import ProcessLock
from memories_async.ledger._reader import EntryReader
from memories_async.ledger._replies import read_data, write_reply
from memories_async.ledger._schema import SCHEMA
from memories_async.ledger._store import EntryStore
from memories_async.ledger._values import Entry, State, Summary

T = TypeVar("T")


class Ledger:
    """A record in one SQLite file (mode 0600), shared by tasks, threads, loops and processes.

    `Ledger("postgresql://user@host/database")` keeps it in PostgreSQL instead (extra `postgres`), shared
    by processes on any number of hosts: in the schema `memories_async`, or in the one of `?schema=name`.

    The file is opened at first use. Pass the ledger to `Client(ledger=...)` or to
    `client.batch(ledger=...)`; free calls are not recorded. Its methods block: from a coroutine,
    call them with `asyncio.to_thread`. They raise `DatabaseFailed` where the disk is full or the
    file is damaged, on a network file system or written by a newer version; no call is sent then, nor
    where the file is read-only: that can be read and exported.

    A ledger pickles with the id of its file, which is created for that. Unpickled where that file is
    not, it refuses: an empty ledger would pay for everything again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._open(open_database(path, (SCHEMA,)))

    def _open(self, database: Database) -> None:
        self.path: Path | None = database.path if isinstance(database, SqliteDatabase) else None
        """The file; None for PostgreSQL."""
        self.database: Database = database
        """The file or schema itself, in which a receiver may keep its tables, too."""
        lock = OwnerLease(database) if self.path is None else ProcessLock(self.path)
        self.coordinator: Coordinator = Coordinator(EntryStore(database, lock))
        """What a client and a batch use."""
        self._copy: Ledger | None = None
        """A private copy of a file that takes no writes, to read from."""

    def once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], Claimed | None], Awaitable[T]],
        *,
        fresh: bool = False,
        price: float | None = None,
    ) -> Awaitable[T]:
        """Answer *call* from the record, or *send* it and record its outcome.

        An identical call in flight, in this process or another, is waited for. *fresh* sends it
        anew. *price* is what a success costs in points, where it is known.
        """
        return self.coordinator.send_once(call, account, send, fresh=fresh, price=price)

    async def has_reply(self, key: str) -> bool:
        """Whether the call under *key* was paid and its answer is here."""
        return bool(await self._store.read(lambda reader: reader.find_replies([key])))

    def summary(self) -> Summary:
        """Count the entries by state, and add up what they cost."""
        return self._read(lambda reader: reader.summarize())

    def entries(self, *, state: State | None = None) -> Iterator[Entry]:
        """Iterate over the entries, oldest first, one page in memory at a time."""
        after = 0
        while page := self._list_page(after, state):
            yield from (entry for _, entry in page)
            after = page[-1][0]

    def _list_page(self, after: int, state: State | None) -> list[tuple[int, Entry]]:
        return self._read(lambda reader: reader.list_page(after, state))

    def unknown(self) -> tuple[Entry, ...]:
        """List the calls that were sent and whose outcome is unknown: they may have been paid."""
        return tuple(self.entries(state="unknown"))

    def find(self, key: str) -> tuple[Entry, ...]:
        """List the entries of one call, oldest first; each `fresh` call has its own."""
        return tuple(self._read(lambda reader: reader.list_of_key(key)))

    def settle(self, key: str, *, paid: bool, answer: object = None) -> None:
        """Record the outcome of a call that is not done, most often an unknown one.

        Not *paid*: it may be sent again. Paid: it is done, and answered by *answer* from now on: a
        typed answer, or the `data` of the service's reply. A call that is done is left unchanged.
        Raises `KeyError` where the ledger has no such call, and `ValueError` where it is being sent.
        """
        body = None if answer is None else write_reply(answer)
        self._store.write_now(lambda moves: moves.settle(key, paid=paid, body=body))

    async def settled(self, key: str, *, answer: object) -> None:
        """Record that a call was paid and answered, as a receiver does; see `settle`."""
        body = write_reply(answer)
        await self._store.write(lambda moves: moves.settle(key, paid=True, body=body))

    def retry(self, key: str) -> None:
        """Let an unknown call be sent again at its next use: it may be paid twice.

        Raises `KeyError` where the ledger has no such call, and `ValueError` where it is done.
        """
        self._store.write_now(lambda moves: moves.retry(key))

    def rename_account(self, old: str, new: str) -> int:
        """Give the entries of account *old* to account *new*, as after a change of the API key.

        Returns the number of entries. `Entry.account` has the names: `Client(account=...)`, or a hash
        of key and host. Keys of the entries change; `settle`, `retry` and `find` know the old ones.
        Raises `ValueError` where a call of *old* is being sent, or *new* is blank or equal to *old*.
        """
        if not new.strip() or new == old:
            raise ValueError(f"new must be another account's name, not {new!r}")
        return self._store.write_now(lambda moves: moves.rename_account(old, new))

    def forget(self, *, before: datetime | float) -> int:
        """Delete the entries and replies of calls that ended before a time; return how many.

        *before* is a datetime with a time zone, or Unix seconds. What is unknown, perhaps paid or being
        sent stays. A call whose entry is deleted is paid again when it is sent again.
        """
        if isinstance(before, datetime):
            if before.tzinfo is None:
                raise ValueError(f"before must have a time zone, not {before!r}")
            before = before.timestamp()
        # SQLite sorts text after every number: a date as text would delete everything.
        if isinstance(before, bool) or not isinstance(before, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise TypeError(f"before must be a datetime or Unix seconds, not {before!r}")
        if not isfinite(before):
            raise ValueError(f"before must be a finite number of seconds, not {before!r}")
        return self._store.write_now(lambda moves: moves.forget(before))

    def export(self, path: str | os.PathLike[str], *, state: State | None = None) -> int:
        """Write the entries to a `.parquet`, `.csv` or `.jsonl` file; return how many.

        Memory does not grow with their number. In Parquet (extra `arrow`) embeddings are lists of
        one fixed size. In CSV, text that a spreadsheet would run as a formula is quoted.
        """
        sample = self._read(lambda reader: reader.find_embedding())
        vector = None if sample is None else read_vector(read_data(sample))
        return export(self.entries(state=state), Path(path), numbers=len(vector or ()))

    def close(self) -> None:
        """Commit what is queued and close the file; may be called twice, and used again after."""
        self._store.close()
        if self._copy is not None:
            self._copy.close()
            self._copy = None

    @property
    def _store(self) -> EntryStore:
        return self.coordinator.store

    def _read(self, look: Callable[[EntryReader], T]) -> T:
        """Read, after releasing what dead processes were sending."""
        try:
            self._store.write_now(lambda moves: moves.release_dead())
        except NotWritable:
            if self.path is None or not self.path.is_file():
                raise
            return self._read_copy(self.path, look)
        return self._store.read_now(look)

    def _read_copy(self, path: Path, look: Callable[[EntryReader], T]) -> T:
        """Read a copy of a file that takes no writes, so that nothing in it is out of date."""
        if self._copy is None:
            folder = tempfile.TemporaryDirectory(prefix="memories_async-")
            try:
                self._copy = Ledger(copy_file(path, Path(folder.name)))
            except OSError as error:
                raise explain(path, error) from None
            self._copy.coordinator.store = EntryStore(self._copy.database, ProcessLock(path))
            finalize(self._copy, folder.cleanup)
        store = self._copy.coordinator.store
        store.write_now(lambda moves: moves.release_dead())
        return store.read_now(look)

    def __enter__(self) -> Self:
        """Return the ledger; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __getstate__(self) -> Database:
        # With the id of its file: where that file is not, a new one would not know what was paid.
        return self.database

    def __setstate__(self, database: Database) -> None:
        self._open(database)

    def __repr__(self) -> str:
        return f"Ledger({str(self.database)!r})"
