"""Ctrl-C in a blocking batch: requests that are out are waited for, no other is sent."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from samples import EMBEDDED
from servers import answer, serving

from memories_async import Ledger

HELPERS = Path(__file__).parents[1] / "helpers"
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[3])
from callers import blocking, settings
from memories_async import Ledger, embeddings

calls = ((n, embeddings.video(f"re_{n}")) for n in range(10_000))
with blocking.Client(**settings(sys.argv[1], ledger=Ledger(sys.argv[2]))) as client:
    with client.batch(calls, concurrency=2) as batch:
        for outcome in batch:
            print(outcome.key, flush=True)
"""


async def test_ctrl_c_drains_a_blocking_batch(tmp_path):
    """The program ends by KeyboardInterrupt, and its ledger has no unknown call."""
    path = tmp_path / "run.db"
    async with serving(answer(EMBEDDED, after=0.02)) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, server.url, path, HELPERS),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, error = await asyncio.wait_for(process.communicate(), 30)

        assert b"KeyboardInterrupt" in error
        assert b"Exception ignored" not in error
        with Ledger(path) as ledger:
            summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.sending) == (0, 0)
        assert summary.done == server.requests < 10_000
