"""How the ledger keeps its promises: tables, claims, witnesses. `memories_async.ledger` is its face."""
