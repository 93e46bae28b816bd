"""The default store: tables in a SQLite file, or in PostgreSQL, that any number of processes share."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Self

import platformdirs
from attrs import define, field

from memories_async._database.database import Database
from memories_async._database.group_commit import Connection
from memories_async._database.open import open_database
from memories_async.receiver._callback_urls import draw_secret
from memories_async.receiver._records import (
    CallbackDelivery,
    CallbackRecord,
    RecordKey,
    Submission,
    Verdict,
)
from memories_async.receiver._schema import SCHEMA

NEWS_PAGE = 500
"""Callbacks that `read_news` reads at once."""


def default_path() -> Path:
    """Return the file that is used when none is named: one per user, the same for all programs."""
    return platformdirs.user_state_path("memories_async") / "callbacks.db"


@define(eq=False)
class SqliteStore:
    """Keeps records in a SQLite database, which may be a ledger's."""

    database: Database
    owns_database: bool = field(default=True, kw_only=True)
    """Whether `close` closes the database."""

    def __attrs_post_init__(self) -> None:
        self.database.include(SCHEMA)

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None) -> Self:
        """Use the file at *path*, or the user's own for None; it is created at first use."""
        if path is None:
            path = default_path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(open_database(path))

    async def get_secret(self) -> bytes:
        """Return the secret that the file holds, drawn at first use."""

        def insert_or_select(db: Connection) -> bytes:
            db.execute(
                "INSERT INTO callback_secret VALUES (1, ?) ON CONFLICT DO NOTHING", (draw_secret(),)
            )
            secret: bytes = db.execute("SELECT secret FROM callback_secret").fetchone()[0]
            return secret

        return await self.database.write(insert_or_select)

    async def add_submission(self, submission: Submission) -> None:
        """Store a submission."""

        def insert(db: Connection) -> None:
            db.execute(
                "INSERT INTO callbacks (id, call, key, issued_at, trace, tag)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    submission.id,
                    submission.call,
                    submission.key,
                    submission.issued_at,
                    submission.trace,
                    submission.tag,
                ),
            )

        await self.database.write(insert)

    async def set_task(self, submission_id: bytes, task_id: str) -> CallbackRecord:
        """Store which task the submit reply named; `KeyError` for an unknown submission."""

        def update(db: Connection) -> CallbackRecord:
            db.execute("UPDATE callbacks SET task_id = ? WHERE id = ?", (task_id, submission_id))
            record = _load(db, submission_id)
            if record is None:
                raise KeyError(submission_id.hex())
            return record

        return await self.database.write(update)

    async def add_delivery(
        self, submission_id: bytes, delivery: CallbackDelivery, *, accept_for: float
    ) -> tuple[Verdict, CallbackRecord | None]:
        """Add a callback to its record, in one transaction."""

        def add(db: Connection) -> tuple[Verdict, CallbackRecord | None]:
            before = _load(db, submission_id)
            if before is None:
                return Verdict.REJECTED, None
            verdict, record = before.add(delivery, accept_for=accept_for)
            if len(record.deliveries) > len(before.deliveries):
                db.execute(
                    "INSERT INTO deliveries (id, task_id, final, body, at, content_type)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        submission_id,
                        delivery.task_id,
                        int(delivery.final),
                        delivery.body,
                        delivery.at,
                        delivery.content_type,
                    ),
                )
            elif verdict not in {Verdict.REJECTED, Verdict.TOO_MANY}:
                # A new row, and not a changed one, because it gets a new seq.
                db.execute("DELETE FROM repetitions WHERE id = ?", (submission_id,))
                db.execute(
                    "INSERT INTO repetitions (id, final) VALUES (?, ?)",
                    (submission_id, record.final_repetitions),
                )
            return verdict, record

        return await self.database.write(add)

    async def find(self, key: RecordKey) -> CallbackRecord | None:
        """Look a submission up."""

        def select(db: Connection) -> CallbackRecord | None:
            if isinstance(key, bytes):
                return _load(db, key)
            row = db.execute(
                "SELECT id FROM callbacks WHERE task_id = ? UNION ALL"
                # A submission whose reply was lost is known by the task that its callback named.
                " SELECT d.id FROM deliveries d JOIN callbacks c ON c.id = d.id"
                " WHERE d.task_id = ? AND c.task_id IS NULL LIMIT 1",
                (key, key),
            ).fetchone()
            return None if row is None else _load(db, row[0])

        return await self.database.read(select)

    async def mark_reconciled(self, submission_id: bytes) -> None:
        """Store that the ledger was told."""

        def update(db: Connection) -> None:
            db.execute("UPDATE callbacks SET told = 1 WHERE id = ?", (submission_id,))

        await self.database.write(update)

    async def list_unreconciled(self) -> tuple[CallbackRecord, ...]:
        """List the records of which the ledger must still be told."""

        def select(db: Connection) -> tuple[CallbackRecord, ...]:
            ids = db.execute(
                "SELECT id FROM callbacks c WHERE key IS NOT NULL AND told = 0"
                " AND EXISTS (SELECT 1 FROM deliveries d WHERE d.id = c.id)"
            ).fetchall()
            records = (_load(db, row[0]) for row in ids)
            return tuple(one for one in records if one is not None and one.needs_reconciling)

        return await self.database.read(select)

    async def read_news(self, since: Any) -> tuple[Any, tuple[CallbackRecord, ...]]:
        """Read the records that got callbacks since *since*, if any process wrote at all."""
        version = await asyncio.to_thread(self.database.version)
        if since is not None and since[0] == version:
            return since, ()
        tables = ("deliveries", "repetitions")
        last = None if since is None else since[1]

        def select(db: Connection) -> tuple[Any, tuple[CallbackRecord, ...]]:
            if last is None:
                newest = [db.execute(f"SELECT max(seq) FROM {name}") for name in tables]  # noqa: S608
                return (version, [one.fetchone()[0] or 0 for one in newest]), ()
            pages = [
                db.execute(
                    f"SELECT seq, id FROM {name} WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
                    (seq, NEWS_PAGE),
                ).fetchall()
                for name, seq in zip(tables, last, strict=True)
            ]
            records = (_load(db, id_) for id_ in {row[1] for page in pages for row in page})
            # A full page may not be the last one, so the next call must look again.
            is_last = all(len(page) < NEWS_PAGE for page in pages)
            seqs = [page[-1][0] if page else seq for page, seq in zip(pages, last, strict=True)]
            found = tuple(one for one in records if one is not None)
            return (version if is_last else None, seqs), found

        return await self.database.read(select)

    def close(self) -> None:
        """Close the file, unless it is a ledger's."""
        if self.owns_database:
            self.database.close()

    def __str__(self) -> str:
        return str(self.database)


def _load(db: Connection, submission_id: bytes) -> CallbackRecord | None:
    rows = db.execute(
        "SELECT c.call, c.key, c.issued_at, c.trace, c.tag, c.task_id, c.told, r.final,"
        " d.task_id, d.final, d.body, d.at, d.content_type"
        " FROM callbacks c LEFT JOIN repetitions r ON r.id = c.id"
        " LEFT JOIN deliveries d ON d.id = c.id WHERE c.id = ? ORDER BY d.seq",
        (submission_id,),
    ).fetchall()
    if not rows:
        return None
    call, key, issued_at, trace, tag, task_id, told, repetitions = rows[0][:8]
    deliveries = (
        CallbackDelivery(
            task_id=task_id, final=bool(final), body=body, at=at, content_type=content_type
        )
        for *_, task_id, final, body, at, content_type in rows
        if body is not None
    )
    return CallbackRecord(
        submission=Submission(
            id=submission_id, call=call, key=key, issued_at=issued_at, trace=trace, tag=tag
        ),
        task_id=task_id,
        deliveries=tuple(deliveries),
        final_repetitions=repetitions or 0,
        is_reconciled=bool(told),
    )
