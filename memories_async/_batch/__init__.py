"""How a batch runs: source, jobs, tally. `memories_async.batch` is its face."""
