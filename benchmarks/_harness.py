"""Shared parts of the benchmarks: two cores, interleaved rounds, paired ratios, one JSON line a measure.

Ratios are taken within a round, between neighbours in time, and the median of the rounds counts:
a noisy machine slows both sides of a pair alike. Absolute figures hold for one machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

KEY = "local-benchmark"
CORES = sorted(os.sched_getaffinity(0))
VERSIONS = ("memories_async", "aiohttp", "anyio", "attrs", "orjson", "requests", "httpx")


def quick(about: str | None) -> bool:
    """Read the command line: `--quick` asks for few rounds."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    chosen: bool = parser.parse_args().quick
    return chosen


@contextmanager
def server() -> Iterator[str]:
    """Run the canned server on the last core, put this process on the first, yield the URL."""
    script = Path(__file__).with_name("_server.py")
    with subprocess.Popen(
        [sys.executable, script, str(CORES[-1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        os.sched_setaffinity(0, {CORES[0]})
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            os.sched_setaffinity(0, CORES)


Cost = Callable[[], Awaitable[float]]


async def rounds(contenders: Mapping[str, Cost], count: int) -> dict[str, list[float]]:
    """Run every contender once in each round, each round in another order; return their costs."""
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    names = [*contenders]
    for name in names:
        await contenders[name]()
    for at in range(count):
        for name in names[at % len(names) :] + names[: at % len(names)]:
            gc.collect()
            costs[name].append(await contenders[name]())
    return costs


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


async def at_once(call: Callable[[], Awaitable[object]], *, count: int, width: int) -> None:
    """Run *count* calls, *width* at a time."""
    jobs = iter(range(count))

    async def work() -> None:
        for _ in jobs:
            await call()

    await asyncio.gather(*(work() for _ in range(width)))


def in_threads(call: Callable[[], object], *, count: int, width: int) -> None:
    """Run *count* calls in *width* threads; a failed call ends the benchmark, because failures are fast."""

    def work() -> None:
        for _ in range(count // width):
            call()

    with ThreadPoolExecutor(width) as pool:
        for done in [pool.submit(work) for _ in range(width)]:
            done.result()


class Stall:
    """The longest time for which the event loop does not run a task that is always ready.

    The task yields in a loop, so it uses a whole core; the gap between two of its steps is the time
    that any other task would have waited.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> Self:
        """Start the task."""
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0.01)
        self.longest = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the task."""
        self._task.cancel()

    async def _watch(self) -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest, before = max(self.longest, now - before), now


class Peak:
    """The peak of this process's memory during the block, above the memory at its start, in MB."""

    def __enter__(self) -> Self:
        """Reset the kernel's peak to the current memory."""
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        self._begun = _status("VmRSS")
        self.extra = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        """Read the peak."""
        self.extra = (_status("VmHWM") - self._begun) / 1024


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def apart(work: Callable[..., T], *given: object) -> T:
    """Run *work* in a new process, so that its memory and first calls are measured alone."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(work, *given).result()


def report(
    name: str,
    values: Iterable[float],
    *,
    yardstick: str,
    unit: str = "ratio",
    at_most: float | None = None,
    at_least: float | None = None,
) -> None:
    """Print one measure: the median of *values*, its quartiles, and whether the target is met."""
    found = sorted(values)
    median = statistics.median(found)
    quarters = statistics.quantiles(found, n=4) if len(found) > 1 else found * 3
    target = f"at most {at_most}" if at_most is not None else f"at least {at_least}"
    met = median <= at_most if at_most is not None else median >= (at_least or 0.0)
    line: dict[str, Any] = {
        "name": name,
        unit: _short(median),
        "yardstick": yardstick,
        "target": target,
        "met": met,
        "rounds": len(found),
        "spread": [_short(quarters[0]), _short(quarters[2])],
        "machine": _machine(),
        "versions": _versions(),
    }
    print(json.dumps(line), flush=True)


def _short(number: float) -> float:
    return float(f"{number:.3g}")


def _machine() -> str:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {len(CORES)} cores, {platform.system()}, load {os.getloadavg()[0]:.1f}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def cpu_per_call(begun: float, count: int) -> float:
    """Return this process's CPU seconds since *begun* for each of *count* calls."""
    return (time.process_time() - begun) / count
