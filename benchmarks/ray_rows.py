"""Rows a second through Ray Data where every call was paid before, and the memory meanwhile.

The rows name a thousand films again and again, so the ledger answers every row and nothing is sent. The
driver takes the rows in a stream and keeps none. Needs the extra `ray`; Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray

from memories_async import Client, FileLimiter, Hosts, Ledger, Limit, Limits
from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine
from memories_async.ray import Embed

FILMS, BLOCK, KEY = 1000, 2000, "local-benchmark"
WORKER = "ray::MapWorker(MapBatches(Embed))"


def read_memory() -> tuple[int, int]:
    """Return the resident MB of this process, and of all its workers that send."""
    own, workers = 0, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines = (folder / "status").read_text().splitlines()
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        # Pages of Ray's object store, which all processes map, are not theirs.
        size = sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024
        if int(folder.name) == os.getpid():
            own = size
        elif WORKER in title:
            workers += size
    return own, workers


def embed(client: Client, ids: list[str], count: int) -> Any:
    """Return *count* rows that are embedded when they are taken."""

    def name_film(batch: dict[str, Any]) -> dict[str, Any]:
        return {"asset_id": [ids[number % FILMS] for number in batch["id"]]}

    rows = ray.data.range(count, override_num_blocks=max(1, count // BLOCK))
    return rows.map_batches(name_film).map_batches(
        Embed,
        fn_constructor_kwargs={"client": client},
        batch_size=BLOCK // 4,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=0.5,
    )


def take(rows: Any, count: int) -> None:
    """Take the rows, and print the memory at 10, 50 and 100 % of them."""
    marks, seen, replayed, began = [0.1, 0.5, 1.0], 0, 0, 0.0
    for batch in rows.iter_batches(batch_size=BLOCK, batch_format="pyarrow"):
        if not seen:
            began, first = time.perf_counter(), len(batch)
        seen += len(batch)
        replayed += sum(batch["replayed"].to_pylist())
        while marks and seen >= marks[0] * count:
            own, workers = read_memory()
            rate = (seen - first) / max(time.perf_counter() - began, 1e-9)
            print(
                f"{marks.pop(0):4.0%}: {seen:,} rows, {rate:,.0f} rows/s; driver {own} MB,"
                f" workers {workers} MB; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    print(f"{replayed:,} of {seen:,} rows were answered by the ledger")


def main() -> None:
    """Pay for the films once, then run the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    count: int = 20_000 if options.quick else options.rows
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=300_000_000,
        runtime_env={"env_vars": {"MEMORIES_API_KEY": KEY}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "films").mkdir()
        for number in range(FILMS):
            (folder / "films" / f"{number:04}.mp4").write_bytes(b"film %d" % number)
        with (
            LocalService(
                folder / "films", engine=FixedEngine(), limits=None, api_key=KEY
            ) as service,
            Ledger(folder / "run.db") as ledger,
        ):
            client = Client(
                api_key=KEY,
                hosts=Hosts.at(service.url),
                ledger=ledger,
                limits=Limits(embeddings=Limit(100_000.0)),
                limiter=FileLimiter(folder / "limiter"),
            )
            ids = [video.asset_id for video in service.library]
            embed(client, ids, FILMS).materialize()
            take(embed(client, ids, count), count)
            print(f"paid {service.account.paid:,} calls")
    ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
