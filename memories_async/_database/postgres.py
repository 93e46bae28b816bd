"""The tables of ledger and receiver in a schema of a PostgreSQL database, for many hosts.

As in SQLite there is one writer at a time, here by an advisory lock that each transaction takes: no move
runs beside another one of any host. A process has at most three connections: one writes, one reads,
and one listens where something is waited for.
"""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import Any, TypeVar

import psycopg
from attrs import define, field

from memories_async._database.database import Database
from memories_async._database.file import PATIENCE, DatabaseFailed, Schema
from memories_async._database.group_commit import Work, WriteJob, WriteResult, run_group
from memories_async._database.listener import NotificationListener
from memories_async._database.postgres_connection import (
    PostgresConnection,
    PostgresUrl,
    quote_name,
)

T = TypeVar("T")

PAUSE = 0.1
"""Seconds between two attempts to reach a server that was lost."""
LOOK = 2.0
"""Seconds after which a waiter looks by itself: nobody notifies of a lease that ends."""


@define(eq=False)
class PostgresDatabase(Database):
    """A schema of a PostgreSQL database.

    A server that restarts is waited for, and a transaction that was cut off is run again unless the
    server says that it was committed.
    """

    url: PostgresUrl
    _id: bytes | None = None
    """The id of the only tables that may be used, once the database was pickled."""
    listener: NotificationListener = field(init=False)
    _writer: PostgresConnection | None = field(default=None, init=False)
    _reader: PostgresConnection | None = field(default=None, init=False)
    _is_known: bool = field(default=False, init=False)
    """Whether the server was reached before, and is worth waiting for."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.listener = NotificationListener(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        tables_id = self.read_now(_read_id)
        return partial(PostgresDatabase, schemas=self._schemas), (self.url, tables_id)

    def __str__(self) -> str:
        return str(self.url)

    def read_now(self, work: Work[T]) -> T:
        """Do as `read` does, blocking this thread."""
        with self._reading:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    return work(self._read_connection())
                except psycopg.Error as error:
                    is_lost = self._reader is None or not self._reader.is_open
                    self._close_reader()
                    if not (is_lost and self._is_known and time.monotonic() < until):
                        raise self.url.explain(error) from None
                    time.sleep(PAUSE)

    def version(self) -> object:
        """Return a value that changes with every callback that any process stored. Cheap."""
        return self.listener.version()

    def mark(self) -> int | None:
        """Return how many notifications were heard; see `wait_for`."""
        return self.listener.mark()

    async def wait_for(self, name: str, since: int | None) -> None:
        """Wait for a notification about *name*, or for the time after which a lease may have ended."""
        await self.listener.wait_for(name, since, at_most=LOOK)

    def reset_in_child(self) -> None:
        """End a `pause` in the forked child."""
        self.listener.reset_in_child()
        super().reset_in_child()

    def _commit(self, group: list[WriteJob]) -> list[WriteResult]:
        with self._writing:
            try:
                results = self._run_patiently(group)
            except Exception as error:  # noqa: BLE001  # every waiter of the group gets it
                self._is_known = False
                self._close_writer()
                return [WriteResult(job, error=self.url.explain(error)) for job in group]
        return [
            WriteResult(result.job, error=self.url.explain(result.error))
            if isinstance(result.error, psycopg.Error)
            and not isinstance(result.error, psycopg.IntegrityError)
            else result
            for result in results
        ]

    def _run_patiently(self, group: list[WriteJob]) -> list[WriteResult]:
        """Commit *group*, again where the server was lost and says that it was not committed."""
        until = time.monotonic() + PATIENCE
        results, transaction = list[WriteResult](), None
        while True:
            try:
                connection = self._write_connection()
                if transaction is not None:
                    found = connection.execute("SELECT pg_xact_status(?::xid8)", (transaction,))
                    (status,) = found.fetchone()
                    if status == "committed":
                        return results
                    if status == "in progress":
                        raise psycopg.OperationalError("the server has not ended the transaction")
                results, transaction = self._run(connection, group)
                connection.execute("COMMIT")
            except psycopg.Error as error:
                is_lost = self._writer is None or not self._writer.is_open or transaction
                if not (is_lost and self._is_known and time.monotonic() < until):
                    raise error from None
                self._close_writer()
                time.sleep(PAUSE)
            else:
                self._is_known = True
                return results

    def _run(
        self, connection: PostgresConnection, group: list[WriteJob]
    ) -> tuple[list[WriteResult], str | None]:
        """Run *group* up to its commit; return the results, and the transaction's number."""
        results = run_group(connection, group, partial(self._begin, connection))
        row = connection.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
        return results, row[0]

    def _begin(self, connection: PostgresConnection) -> None:
        # A stricter isolation would look at the tables as they were before the lock was granted.
        connection.execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
            f" SELECT pg_advisory_xact_lock({self.url.lock_key})"
        )

    def _write_connection(self) -> PostgresConnection:
        if self._writer is None:
            connection = PostgresConnection(self.url.connect())
            try:
                self._begin(connection)
                self._prepare(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.raw.close()
                raise
            self._writer = connection
        return self._writer

    def _prepare(self, connection: PostgresConnection) -> None:
        """Create the tables, or upgrade them."""
        schema = self.url.schema
        found = connection.execute("SELECT to_regnamespace(?) IS NULL", (quote_name(schema),))
        if found.fetchone()[0]:
            self._refuse_other(None)
            connection.execute(f"CREATE SCHEMA {quote_name(schema)}")
        found = connection.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'schemas'", (schema,)
        )
        if found.fetchone() is None:
            self._refuse_other(None)
            connection.execute("CREATE TABLE database_id (id BYTEA NOT NULL)")
            connection.execute("INSERT INTO database_id VALUES (?)", (secrets.token_bytes(16),))
            connection.execute("CREATE TABLE schemas (name TEXT PRIMARY KEY, version INT NOT NULL)")
        self._refuse_other(_read_id(connection))
        for one in self._schemas:
            self._upgrade(connection, one)

    def _refuse_other(self, found: bytes | None) -> None:
        if self._id not in {None, found}:
            raise DatabaseFailed(
                f"{self}: it does not hold the tables that the ledger or receiver was pickled with;"
                " others would not know what was paid: name the same database"
            )

    def _upgrade(self, connection: PostgresConnection, schema: Schema) -> None:
        steps = schema.postgres_steps
        found = connection.execute("SELECT version FROM schemas WHERE name = ?", (schema.name,))
        version: int = (found.fetchone() or (0,))[0]
        if version > len(steps):
            raise DatabaseFailed(
                f"{self}: its {schema.name} has version {version}, written by a newer"
                f" memories_async; this one knows {len(steps)}: upgrade, or name another schema"
            )
        for step in steps[version:]:
            for statement in step:
                connection.execute(statement)
        if version < len(steps):
            connection.execute(
                "INSERT INTO schemas VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
                (schema.name, len(steps)),
            )

    def _read_connection(self) -> PostgresConnection:
        if self._reader is None:
            if self._writer is None:
                self.write_now(lambda _: None)  # creates the tables
            self._reader = PostgresConnection(self.url.connect())
        return self._reader

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.raw.close()
            self._writer = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.raw.close()
            self._reader = None

    def _disconnect(self) -> None:
        self._close_reader()
        self._close_writer()
        self.listener.stop()


def _read_id(connection: Any) -> bytes:
    found: tuple[bytes] = connection.execute("SELECT id FROM database_id").fetchone()
    return found[0]
