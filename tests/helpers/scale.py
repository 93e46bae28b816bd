"""What the embedded service counts as paid, and processes that are killed."""

from __future__ import annotations

import collections
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from memories_async import Client, Embedding, FileLimiter, Hosts, Limit, Limits

FILMS = 1000
WORKER = "ray::MapWorker(MapBatches(Embed))"
"""The title of a process that sends calls."""
KEY = "local-key"
"""The key of the service; workers read it from their environment."""
ray = pytest.importorskip("ray", reason="Ray is installed by `nox -s scale`")
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


def kill_at(count, moments, title) -> list[int]:
    """Kill a process whose title holds *title* each time *count* reaches one of *moments*.

    Return the list of those that were killed, which grows while the run goes on.
    """
    killed: list[int] = []

    def kill() -> None:
        for moment in moments:
            while count() < moment or (found := find_process(title)) in {None, *killed}:
                time.sleep(0.005)
            os.kill(found, signal.SIGKILL)
            killed.append(found)

    threading.Thread(target=kill, daemon=True).start()
    return killed


def find_process(title: str) -> int | None:
    """Find the id of a process by a part of its title, which Ray sets for its workers."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if title in path.read_bytes().decode(errors="replace"):
                return int(path.parent.name)
        except OSError:
            continue
    return None


def connect(service, folder, **settings) -> Client:
    """Make a client whose workers on one machine share a limiter in *folder*."""
    given = {"limits": UNLIMITED, "limiter": FileLimiter(folder / "limiter"), **settings}
    return Client(api_key=service.api_key, hosts=Hosts.at(service.url), **given)


def embed(service, client, number=1000, workers=2) -> list[dict]:
    """Embed the first *number* films of the service on Ray Data; return the rows."""
    from memories_async.ray import Embed

    ids = [{"asset_id": video.asset_id} for video in list(service.library)[:number]]
    rows = ray.data.from_items(ids, override_num_blocks=20)
    return rows.map_batches(
        Embed,
        fn_constructor_kwargs={"client": client},
        batch_size=50,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0.5,
    ).take_all()


def check_paid_once(service, ledger, rows, run_again) -> None:
    """Check that nothing was paid twice, and that one more run does what is left."""
    assert len(rows) == FILMS
    summary = ledger.summary()
    assert (summary.done + summary.unknown, summary.sending) == (FILMS, 0)
    assert max(count_paid(service).values()) == 1
    settle_by(service, ledger)
    assert [row["error"] for row in run_again()] == [None] * FILMS
    paid = count_paid(service)
    assert (len(paid), paid.total()) == (FILMS, FILMS)
