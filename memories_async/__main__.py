"""`python -m memories_async`: the command `memories-async`."""

from __future__ import annotations

from memories_async.cli import main

if __name__ == "__main__":
    main()
