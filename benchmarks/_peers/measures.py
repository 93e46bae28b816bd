"""One measure of one peer, in a process of its own: `python -m _peers.measures PEER MEASURE` prints JSON."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _harness as harness
import aiohttp
import orjson

from _peers import PEERS
from _peers.base import KEY, Peer

FOLDER = Path(__file__).parents[1]
SIZE = 20 * 1024 * 1024


@contextmanager
def serving(peer: str, mode: str, *, is_pinned: bool = False) -> Iterator[str]:
    """Run the server; where CPU is measured, on the last core, and this process on the first."""
    if is_pinned:
        os.sched_setaffinity(0, {harness.CORES[-1]})
    command = [sys.executable, "-m", "_peers.server", peer, mode]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=FOLDER) as process:
        if is_pinned:
            os.sched_setaffinity(0, {harness.CORES[0]})
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


async def count(url: str) -> int:
    """Ask the server how many requests it saw."""
    async with aiohttp.ClientSession() as session, session.get(url + "/count") as response:
        found: int = await response.json()
        return found


async def fail(peer: Peer, url: str) -> Exception:
    """Send a call that must fail, and return its error."""
    client = await peer.open(url)
    try:
        await peer.ask(client)
    except Exception as error:  # noqa: BLE001  # whatever a peer raises
        return error
    finally:
        await peer.close(client)
    message = "the call did not fail"
    raise AssertionError(message)


def lost(name: str) -> dict[str, Any]:
    """How many requests does the server see when it does the work and the reply is lost?"""
    found: dict[str, Any] = {}
    for mode in ("drop", "500", "cut"):
        with serving(name, mode) as url:
            error = asyncio.run(fail(PEERS[name], url))
            found[mode] = asyncio.run(count(url))
        found["tells"] = getattr(error, "billed", None) == "maybe"
        found[f"error of {mode}"] = type(error).__name__
    return found


def crowd(name: str) -> dict[str, Any]:
    """What becomes of 30 calls at once where one a second is granted?"""
    peer = PEERS[name]

    async def run(url: str) -> list[object]:
        client = await peer.open(url)
        asks = (peer.ask(client) for _ in range(30))
        answers = await asyncio.gather(*asks, return_exceptions=True)
        await peer.close(client)
        return answers

    with serving(name, "rate") as url:
        begun = time.monotonic()
        answers = asyncio.run(run(url))
        seconds = time.monotonic() - begun
        requests = asyncio.run(count(url))
    done = sum(not isinstance(answer, BaseException) for answer in answers)
    return {"succeeded": done, "requests": requests / 30, "seconds": seconds}


def cpu(name: str) -> dict[str, Any]:
    """What CPU does a small call take, 16 at a time, beside bare aiohttp and orjson into a list?"""
    peer = PEERS[name]

    async def run(url: str) -> list[float]:
        client = await peer.open(url, is_fast=True)
        session = aiohttp.ClientSession()

        async def bare() -> object:
            headers = {"Authorization": KEY}
            async with session.post(url + "/bare", json={"a": "b"}, headers=headers) as response:
                return orjson.loads(await response.read())["data"]["embedding"]

        def cost(ask: Callable[[], Awaitable[object]]) -> harness.Cost:
            async def spend() -> float:
                begun = time.process_time()
                await harness.at_once(ask, count=160, width=16)
                return harness.cpu_per_call(begun, 160)

            return spend

        pair = {"theirs": cost(lambda: peer.ask(client)), "bare": cost(bare)}
        costs = await harness.rounds(pair, 9)
        await peer.close(client)
        await session.close()
        return harness.ratios(costs["theirs"], costs["bare"])

    with serving(name, "answer", is_pinned=True) as url:
        return {"ratio": statistics.median(asyncio.run(run(url)))}


def imports(name: str) -> dict[str, Any]:
    """What CPU does the import take beside aiohttp's, the bare interpreter's left out of both?"""

    def spend(statement: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The first run writes the compiled files.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def compare(statement: str) -> float:
        theirs, aiohttps, empty = (spend(one) for one in (statement, "import aiohttp", "pass"))
        return (theirs - empty) / (aiohttps - empty)

    statement = PEERS[name].imports
    compare(statement)
    return {"ratio": statistics.median(compare(statement) for _ in range(7))}


def upload(name: str) -> dict[str, Any]:
    """How much memory does an upload of 20 MB take, and how long does it hold the event loop?"""
    peer = PEERS[name]

    async def run(url: str, folder: Path) -> dict[str, Any]:
        small, large = folder / "small.mp4", folder / "large.mp4"
        small.write_bytes(os.urandom(1024))
        large.write_bytes(os.urandom(SIZE))
        client = await peer.open(url, is_fast=True)
        await peer.upload(client, small)
        with harness.Peak() as peak:
            await peer.upload(client, large)
        stalls: list[float] = []
        for _ in range(5):
            async with harness.Stall() as stall:
                await peer.upload(client, large)
            stalls.append(stall.longest * 1e3)
        await peer.close(client)
        return {"mb": peak.extra, "stall": statistics.median(stalls)}

    with serving(name, "answer", is_pinned=True) as url, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(url, Path(folder)))


def life(name: str) -> dict[str, Any]:
    """Does one client work under three event loops, pickled, and after a fork?"""
    peer = PEERS[name]

    def works(client: Any) -> bool:
        try:
            for _ in range(2):
                asyncio.run(asyncio.wait_for(peer.ask(client), 30))
        except Exception:  # noqa: BLE001  # whatever a peer raises
            return False
        return True

    async def begin(url: str) -> Any:
        client = await peer.open(url, is_fast=True)
        await peer.ask(client)
        return client

    def after_fork(client: Any) -> bool:
        child = os.fork()
        if not child:
            os._exit(0 if works(client) else 1)
        return os.waitpid(child, 0)[1] == 0

    with serving(name, "answer") as url:
        found = {
            "loops": works(asyncio.run(begin(url))),
            "client": _pickles(asyncio.run(begin(url)), works),
            "fork": after_fork(asyncio.run(begin(url))),
        }
    with serving(name, "drop") as url:
        error = asyncio.run(fail(peer, url))
        found["error"] = _pickles(error, lambda copy: str(copy) == str(error))
    return found


def _pickles(value: Any, is_good: Callable[[Any], bool]) -> bool:
    try:
        return is_good(pickle.loads(pickle.dumps(value)))  # ours
    except Exception:  # noqa: BLE001  # whatever a peer raises
        return False


def secret(name: str) -> dict[str, Any]:
    """Where does the key show: in `repr(client)`, in an error with its traceback, in the debug log?"""
    peer = PEERS[name]
    written = io.StringIO()
    logging.basicConfig(level=logging.DEBUG, stream=written)

    async def run(url: str) -> str:
        client = await peer.open(url)
        await peer.ask(client)
        await peer.close(client)
        return repr(client)

    with serving(name, "answer") as url:
        shown = asyncio.run(run(url))
    with serving(name, "drop") as url:
        error = asyncio.run(fail(peer, url))
    told = repr(error) + "".join(traceback.format_exception(error))
    places = {"repr": shown, "error": told, "log": written.getvalue()}
    return {place: KEY in text for place, text in places.items()}


MEASURES = {one.__name__: one for one in (lost, crowd, cpu, imports, upload, life, secret)}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[2]](sys.argv[1])))
