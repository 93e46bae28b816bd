"""What does it cost to begin? The import beside its dependencies', and the first call's loop stall."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys

import _harness as harness

OURS = "import memories_async"
THEIRS = "import aiohttp, attrs, cattrs, anyio"


# An installed package is compiled already; a checkout's is compiled by the first run.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cost(statement: str) -> harness.Cost:
    """Measure the CPU seconds of a fresh interpreter that runs *statement*."""

    async def run() -> float:
        begun = _children()
        subprocess.run(  # noqa: ASYNC221  # alone
            [sys.executable, "-c", statement], check=True, env=ENVIRONMENT
        )
        return _children() - begun

    return run


def first_call(url: str) -> float:
    """Tell the longest stall (ms) while a client is made and its first call answered."""
    os.sched_setaffinity(0, {harness.CORES[0]})
    from memories_async import Client, Hosts

    async def run() -> float:
        async with (
            harness.Stall() as stall,
            Client(api_key=harness.KEY, hosts=Hosts.at(url)) as client,
        ):
            await client.embeddings.video("re_657")
        return stall.longest * 1e3

    return asyncio.run(run())


async def main() -> None:
    """Compare, and print a line for each measure."""
    times = 7 if harness.quick(__doc__) else 25
    with harness.server() as url:
        stalls = [harness.apart(first_call, url) for _ in range(times)]
    pair = {"ours": cost(OURS), "theirs": cost(THEIRS), "nothing": cost("pass")}
    costs = await harness.rounds(pair, times)
    net = {
        name: [a - b for a, b in zip(costs[name], costs["nothing"], strict=True)]
        for name in ("ours", "theirs")
    }
    harness.report(
        "import_cpu",
        harness.ratios(net["ours"], net["theirs"]),
        yardstick=f"{THEIRS}; the bare interpreter taken off both",
        at_most=1.2,
    )
    harness.report(
        "import_cpu_ms",
        [seconds * 1e3 for seconds in costs["ours"]],
        yardstick="a fresh interpreter, its own start included",
        unit="ms",
        at_most=60.0,
    )
    harness.report(
        "first_call_longest_stall",
        stalls,
        yardstick="a fresh process, the client made inside the loop",
        unit="ms",
        at_most=10.0,
    )


if __name__ == "__main__":
    asyncio.run(main())
