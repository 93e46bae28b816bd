"""The tables in which a receiver keeps submissions and callbacks, for SQLite and for PostgreSQL."""

from __future__ import annotations

from memories_async._database.file import Schema

SCHEMA = Schema(
    "receiver",
    (
        (
            "CREATE TABLE callback_secret (one INTEGER PRIMARY KEY CHECK (one = 1), secret BLOB)",
            """
            CREATE TABLE callbacks (
                id BLOB PRIMARY KEY, call TEXT NOT NULL, key TEXT, issued_at REAL NOT NULL,
                task_id TEXT, told INTEGER NOT NULL DEFAULT 0
            )
            """,
            "CREATE INDEX callbacks_task ON callbacks (task_id) WHERE task_id IS NOT NULL",
            "CREATE INDEX callbacks_owed ON callbacks (id) WHERE key IS NOT NULL AND NOT told",
            """
            CREATE TABLE deliveries (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, task_id TEXT,
                final INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL
            )
            """,
            "CREATE INDEX deliveries_id ON deliveries (id)",
            "CREATE INDEX deliveries_task ON deliveries (task_id) WHERE task_id IS NOT NULL",
        ),
        (
            "ALTER TABLE deliveries ADD COLUMN content_type TEXT NOT NULL DEFAULT ''",
            # Callbacks that repeat a stored one: how many of them were final, and, since each gets a
            # new seq, that there was another one.
            """
            CREATE TABLE repetitions (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,
                final INTEGER NOT NULL
            )
            """,
        ),
        ("ALTER TABLE callbacks ADD COLUMN trace TEXT",),
        ("ALTER TABLE callbacks ADD COLUMN tag TEXT",),
    ),
    postgres_steps=(
        (
            """
            CREATE TABLE callback_secret (
                one INTEGER PRIMARY KEY CHECK (one = 1), secret BYTEA NOT NULL
            )
            """,
            """
            CREATE TABLE callbacks (
                id BYTEA PRIMARY KEY, call TEXT NOT NULL, key TEXT,
                issued_at DOUBLE PRECISION NOT NULL, task_id TEXT, told INTEGER NOT NULL DEFAULT 0,
                trace TEXT, tag TEXT
            )
            """,
            "CREATE INDEX callbacks_task ON callbacks (task_id) WHERE task_id IS NOT NULL",
            "CREATE INDEX callbacks_owed ON callbacks (id) WHERE key IS NOT NULL AND told = 0",
            """
            CREATE TABLE deliveries (
                seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id BYTEA NOT NULL, task_id TEXT,
                final INTEGER NOT NULL, body BYTEA NOT NULL, at DOUBLE PRECISION NOT NULL,
                content_type TEXT NOT NULL DEFAULT ''
            )
            """,
            "CREATE INDEX deliveries_id ON deliveries (id)",
            "CREATE INDEX deliveries_task ON deliveries (task_id) WHERE task_id IS NOT NULL",
            """
            CREATE TABLE repetitions (
                seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id BYTEA NOT NULL UNIQUE,
                final INTEGER NOT NULL
            )
            """,
            """
            CREATE FUNCTION tell_of_callback() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_notify(TG_TABLE_SCHEMA, 'callback ' || encode(NEW.id, 'hex'));
                RETURN NULL;
            END $$
            """,
            """
            CREATE TRIGGER tell_of_callback AFTER INSERT ON deliveries
            FOR EACH ROW EXECUTE FUNCTION tell_of_callback()
            """,
            """
            CREATE TRIGGER tell_of_callback AFTER INSERT ON repetitions
            FOR EACH ROW EXECUTE FUNCTION tell_of_callback()
            """,
        ),
    ),
)
