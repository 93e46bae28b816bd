"""The durable SQLite file under ledger and receiver: one writer, group commit."""
