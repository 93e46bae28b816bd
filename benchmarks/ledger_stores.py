"""A ledger in a SQLite file beside one in PostgreSQL: calls a second, and this process's CPU.

Each call is what a paid call costs the ledger: a claim, an intent and a reply of 9 kB, three commits,
16 calls at a time. PostgreSQL runs on this machine, with its data synced to the disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from memories_async import Ledger
from memories_async._protocol.call import derive_fingerprint
from memories_async._protocol.reply import Reply
from memories_async.ledger._schema import EntryKey

AT_ONCE, CALLS, ROUNDS = 16, 400, 5


async def run(ledger: Ledger, start: int) -> None:
    """Record CALLS calls."""
    numbers = iter(range(start, start + CALLS))
    body = os.urandom(9_000)

    async def work() -> None:
        for number in numbers:
            content = number.to_bytes(20, "big")
            key = EntryKey(
                key=derive_fingerprint(content, "a"),
                content=content,
                call="clips.search",
                asked="{}",
                account="a",
                unit="search",
            )
            (claim,) = await ledger.coordinator.claim([key])
            await claim.sending()
            claim.sent()
            await claim.answered(Reply(status=200, body=body))
            await claim.close()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def main() -> None:
    """Run both in turn, and print the median of the rounds."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    from postgres import PostgresServer, find_binaries

    if find_binaries() is None:
        print("no PostgreSQL server is installed: nothing is measured")
        return
    server = PostgresServer(durable=True)
    with tempfile.TemporaryDirectory() as folder:
        ledgers = {"SQLite": Ledger(Path(folder, "run.db")), "PostgreSQL": Ledger(server.url())}
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ledgers}
        for number in range(ROUNDS + 1):
            for name, ledger in ledgers.items():
                began, cpu = time.perf_counter(), time.process_time()
                asyncio.run(run(ledger, number * CALLS))
                took, used = time.perf_counter() - began, time.process_time() - cpu
                if number:  # the first opens the connections
                    seen[name].append((CALLS / took, used / CALLS * 1e3))
        for name, figures in seen.items():
            rate, used = (sorted(column)[ROUNDS // 2] for column in zip(*figures, strict=True))
            print(f"{name}: {rate:,.0f} calls/s, {used:.2f} ms of CPU a call")
        for ledger in ledgers.values():
            ledger.close()
    server.remove()


if __name__ == "__main__":
    main()
