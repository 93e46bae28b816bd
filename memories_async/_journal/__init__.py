"""A durable SQLite file with one writer and group commit, shared by ledger and receiver."""
