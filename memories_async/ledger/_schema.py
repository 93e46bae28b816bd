"""The ledger's tables, and the values that its moves take and return."""

from __future__ import annotations

from attrs import frozen

from memories_async._database.file import Schema
from memories_async.ledger._upgrade import rewrite_keys

SCHEMA = Schema(
    "ledger",
    (
        (
            """
            CREATE TABLE entries (
                id INTEGER PRIMARY KEY, key BLOB NOT NULL, item TEXT, call TEXT NOT NULL,
                asked TEXT NOT NULL, account TEXT NOT NULL, unit TEXT NOT NULL,
                state TEXT NOT NULL DEFAULT 'planned', owner TEXT,
                attempts INTEGER NOT NULL DEFAULT 0, doubts INTEGER NOT NULL DEFAULT 0, price REAL,
                planned_at REAL NOT NULL, sent_at REAL, ended_at REAL, status INTEGER, message TEXT
            )
            """,
            # Replies have their own table, so that a change of state rewrites a short row.
            "CREATE TABLE replies (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
            "CREATE INDEX entries_by_key ON entries (key)",
            "CREATE INDEX entries_at_work ON entries (owner) WHERE owner IS NOT NULL",
            "CREATE INDEX entries_in_doubt ON entries (id) WHERE state = 'unknown'",
        ),
        (
            # What the call asks, whichever account asks it: see `identify`.
            "ALTER TABLE entries ADD COLUMN content BLOB",
            # Keys that somebody may have noted, or a receiver holds, before an entry's key changed.
            "CREATE TABLE former_keys (key BLOB PRIMARY KEY, current BLOB NOT NULL) WITHOUT ROWID",
            "CREATE INDEX former_keys_current ON former_keys (current)",
            rewrite_keys,
            "CREATE INDEX entries_by_content ON entries (content)",
        ),
    ),
    postgres_steps=(
        (
            """
            CREATE TABLE entries (
                id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key BYTEA NOT NULL,
                content BYTEA, item TEXT, call TEXT NOT NULL, asked TEXT NOT NULL,
                account TEXT NOT NULL, unit TEXT NOT NULL,
                state TEXT NOT NULL DEFAULT 'planned', owner TEXT,
                attempts INTEGER NOT NULL DEFAULT 0, doubts INTEGER NOT NULL DEFAULT 0,
                price DOUBLE PRECISION, planned_at DOUBLE PRECISION NOT NULL,
                sent_at DOUBLE PRECISION, ended_at DOUBLE PRECISION, status INTEGER, message TEXT
            )
            """,
            "CREATE TABLE replies (id BIGINT PRIMARY KEY, body BYTEA NOT NULL)",
            "CREATE TABLE former_keys (key BYTEA PRIMARY KEY, current BYTEA NOT NULL)",
            # The server's clock decides when a lease has ended.
            "CREATE TABLE owners (name TEXT PRIMARY KEY, expires_at TIMESTAMPTZ NOT NULL)",
            "CREATE INDEX entries_by_key ON entries (key)",
            "CREATE INDEX entries_by_content ON entries (content)",
            "CREATE INDEX entries_at_work ON entries (owner) WHERE owner IS NOT NULL",
            "CREATE INDEX entries_in_doubt ON entries (id) WHERE state = 'unknown'",
            "CREATE INDEX former_keys_current ON former_keys (current)",
            """
            CREATE FUNCTION tell_of_entry() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_notify(TG_TABLE_SCHEMA, encode(NEW.key, 'hex'));
                RETURN NULL;
            END $$
            """,
            """
            CREATE TRIGGER tell_of_entry AFTER UPDATE OF owner ON entries FOR EACH ROW
            WHEN (OLD.owner IS NOT NULL AND NEW.owner IS NULL) EXECUTE FUNCTION tell_of_entry()
            """,
        ),
    ),
)


@frozen(kw_only=True)
class EntryKey:
    """What identifies an entry, with the columns that a new row is given."""

    key: str
    """The call's fingerprint."""
    content: bytes
    """The hash of what the call asks, without the account."""
    call: str
    asked: str
    account: str
    unit: str
    item: str | None = None
    price: float | None = None
    """Points that a success costs, where a budget knows it."""


@frozen(kw_only=True)
class EntryRow:
    """The columns of an entry that decide whether its call may be sent, with its reply."""

    id: int
    state: str
    account: str = ""
    owner: str | None = None
    """The name of the process lock of whoever is sending the call."""
    attempts: int = 0
    sent_at: float | None = None
    status: int | None = None
    message: str | None = None
    body: bytes | None = None


@frozen(kw_only=True)
class AttemptEnd:
    """How an attempt ended without an answer."""

    state: str
    """`planned` where nothing was asked, `refused`, or `unknown`."""
    final: bool = True
    status: int | None = None
    message: str | None = None
    body: bytes | None = None
    is_withdrawn: bool = False
    """Whether the attempt was cancelled before a byte of it left."""
    restores_doubt: bool = False
    """Whether `unknown` is about an earlier attempt, which `begin` counted as a doubt."""
