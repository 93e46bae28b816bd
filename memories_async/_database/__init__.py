"""The database under ledger and receiver, a SQLite file or PostgreSQL: one writer, group commit."""
