"""The ledger: a durable record of what was asked and answered, so that nothing is paid twice.

The intent to send is committed before the first byte of an attempt leaves, the raw reply before the
caller sees an answer. After a crash, whatever was being sent is *unknown*: the service has no way to
look a call up, so the ledger shows it, and sends it again only when told to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from memories_async._database.database import Database
from memories_async._database.file import DatabaseFailed
from memories_async._protocol.call import Call
from memories_async.ledger import _queries, _reconcile, _tables
from memories_async.ledger._claimed import Line
from memories_async.ledger._coordinator import Desk, is_recorded
from memories_async.ledger._export import export
from memories_async.ledger._parquet import vector_of
from memories_async.ledger._process_lock import Owner
from memories_async.ledger._replies import data_of, reply_for
from memories_async.ledger._values import Entry, State, Summary

T = TypeVar("T")


class Ledger:
    """A record in one SQLite file (mode 0600), shared by tasks, threads, loops and processes.

    It is opened at first use. Give it to `Client(ledger=...)` or to `client.batch(ledger=...)`;
    calls that cost nothing are not recorded. Its own verbs block: from a coroutine, call them with
    `asyncio.to_thread`. All raise `DatabaseFailed` where the file is full, read-only, damaged, on a
    network file system or written by a newer version; nothing is sent then.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).absolute()
        self.database: Database = Database(self.path, (_tables.SCHEMA,))
        """The file itself, in which a receiver may keep its tables, too."""
        self.desk: Desk = Desk(self.database, Owner(self.path))
        """What a client and a batch use."""

    async def once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], Line | None], Awaitable[T]],
        *,
        fresh: bool = False,
        price: float | None = None,
    ) -> T:
        """Answer *call* from the record, or *send* it and write down what becomes of it.

        An identical call in flight, in this process or another, is waited for. *fresh* asks anew.
        *price* is what a success costs in points, where it is known.
        """
        if not is_recorded(call):
            return await send(call, None)
        return await self.desk.once(call, account, send, fresh=fresh, price=price)

    def summary(self) -> Summary:
        """Count the entries by state, and add up what they cost."""
        return self._look(_queries.summary)

    def entries(self, *, state: State | None = None) -> Iterator[Entry]:
        """Go through the entries, oldest first, a page in memory at a time."""
        after = 0
        while page := self._look(partial(_queries.page, after=after, state=state)):
            yield from (entry for _, entry in page)
            after = page[-1][0]

    def unknown(self) -> tuple[Entry, ...]:
        """List the calls that were sent and whose outcome nobody knows: perhaps paid."""
        return tuple(self.entries(state="unknown"))

    def find(self, key: str) -> tuple[Entry, ...]:
        """List the entries of one call, oldest first; each `fresh` asking has its own."""
        return tuple(self._look(partial(_queries.of_key, key=key)))

    def settle(self, key: str, *, paid: bool, answer: object = None) -> None:
        """Say what became of a call that is not done, most often an unknown one.

        Not *paid*: it may be sent again. Paid: it is done, and answered by *answer* from now on: a
        typed answer, or the `data` of the service's reply. A call that is done stays as it is.
        Raises `KeyError` where the ledger has no such call, and `ValueError` where it is being sent.
        """
        body = None if answer is None else reply_for(answer)
        self.database.write_now(
            partial(_reconcile.settle, key=key, owner=self.desk.owner, paid=paid, body=body)
        )

    async def settled(self, key: str, *, answer: object) -> None:
        """Do as `settle` does for a call that was paid: what a receiver tells the ledger."""
        body = reply_for(answer)
        await self.database.write(
            partial(_reconcile.settle, key=key, owner=self.desk.owner, paid=True, body=body)
        )

    def retry(self, key: str) -> None:
        """Let an unknown call be sent again when it is next asked for: it may be paid twice.

        Raises `KeyError` where the ledger has no such call, and `ValueError` where it is done.
        """
        self.database.write_now(partial(_reconcile.retry, key=key))

    def export(self, path: str | os.PathLike[str], *, state: State | None = None) -> int:
        """Write the entries to a `.parquet`, `.csv` or `.jsonl` file; return how many.

        Memory does not grow with their number. In Parquet (extra `arrow`) embeddings are lists of
        one fixed size. In CSV, text that a spreadsheet would run as a formula is quoted.
        """
        return export(self.entries(state=state), Path(path), numbers=self._numbers())

    def _numbers(self) -> int:
        reply = self._look(_queries.embedding)
        return len((None if reply is None else vector_of(data_of(reply))) or ())

    def close(self) -> None:
        """Finish what was begun and let go of the file; may be called twice, and used again."""
        self.database.close()
        self.desk.owner.leave()

    def _look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read, after giving up what dead processes were sending."""
        self.database.write_now(partial(_tables.bury_the_dead, owner=self.desk.owner))
        return self.database.read_now(work)

    def __enter__(self) -> Self:
        """Return the ledger; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (str(self.path),)

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"


__all__ = ["DatabaseFailed", "Entry", "Ledger", "State", "Summary"]
