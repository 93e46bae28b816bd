"""What the embedded service counts as paid, and processes that are killed."""

from __future__ import annotations

import collections
import json
import os
import signal
import threading
import time
from pathlib import Path

from memories_async import Embedding, Limit, Limits

KEY = "local-key"
"""The key of the service; workers read it from their environment."""
VECTOR = Embedding([0.5] * 1024, model="multimodalembedding@001")
UNLIMITED = Limits(embeddings=Limit(100_000.0))


def count_paid(service) -> collections.Counter:
    """Count how often each video was paid for."""
    return collections.Counter(entry.item for entry in service.account.statement)


def settle_by(service, ledger) -> None:
    """Settle what the ledger calls unknown as the service's statement has it."""
    paid = count_paid(service)
    for entry in ledger.unknown():
        is_paid = json.loads(entry.asked)["asset_id"] in paid
        ledger.settle(entry.key, paid=is_paid, answer=VECTOR if is_paid else None)


def kill_at(count, moments, title) -> threading.Thread:
    """Kill a process whose title holds *title* each time *count* reaches one of *moments*."""

    def kill() -> None:
        for moment in moments:
            while count() < moment or (found := find_process(title)) is None:
                time.sleep(0.005)
            os.kill(found, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def find_process(title: str) -> int | None:
    """Find the id of a process by a part of its title, which Ray sets for its workers."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if title in path.read_bytes().decode(errors="replace"):
                return int(path.parent.name)
        except OSError:
            continue
    return None
