"""How many calls a second does the blocking client make? Against requests and httpx, 1 and 32 threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack

import _harness as harness
import httpx
import requests
from requests.adapters import HTTPAdapter

from memories_async import Hosts, Limit, Limits
from memories_async._protocol import wire_json
from memories_async.blocking import Client

PATH = "/serve/api/v2/embeddings/video"
ASKED = {"asset_id": "re_657", "model": "multimodalembedding@001"}
HEADERS = {"Authorization": harness.KEY}
THREADS = 32

Ask = Callable[[], object]


def ours(url: str, stack: ExitStack) -> Ask:
    """Ask with the blocking client."""
    far = Limits(embeddings=Limit(1e9, concurrency=THREADS))
    client = stack.enter_context(Client(api_key=harness.KEY, hosts=Hosts.at(url), limits=far))
    return lambda: client.embeddings.video("re_657")


def through_requests(url: str, stack: ExitStack) -> Ask:
    """Ask with one requests session, with a connection for each thread."""
    session = stack.enter_context(requests.Session())
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))

    def ask() -> object:
        response = session.post(url + PATH, json=ASKED, headers=HEADERS)
        return wire_json.loads(response.content)["data"]["embedding"]

    return ask


def through_httpx(url: str, stack: ExitStack) -> Ask:
    """Ask with one httpx client, without its limit of 5 s: a busy machine lets a thread wait longer."""
    client = stack.enter_context(httpx.Client(timeout=None))  # see above

    def ask() -> object:
        response = client.post(url + PATH, json=ASKED, headers=HEADERS)
        return wire_json.loads(response.content)["data"]["embedding"]

    return ask


def cost(ask: Ask, count: int, width: int) -> harness.Cost:
    """Measure seconds for each call."""

    async def run() -> float:
        begun = time.perf_counter()
        harness.in_threads(ask, count=count, width=width)
        return (time.perf_counter() - begun) / count

    return run


async def main() -> None:
    """Compare, and print a line for each measure."""
    count, times = (192, 5) if harness.quick(__doc__) else (640, 15)
    with harness.server() as url, ExitStack() as stack:
        asks = {
            "ours": ours(url, stack),
            "requests": through_requests(url, stack),
            "httpx": through_httpx(url, stack),
        }
        for width, *targets in ((1, 3.0, 1.5), (THREADS, 2.5, 2.0)):
            contenders = {name: cost(ask, count, width) for name, ask in asks.items()}
            costs = await harness.rounds(contenders, times)
            for rival, target in zip(("requests", "httpx"), targets, strict=True):
                harness.report(
                    f"blocking_{width}_threads_vs_{rival}",
                    harness.ratios(costs[rival], costs["ours"]),
                    yardstick=f"{rival}, one session, calls/s",
                    at_least=target,
                )


if __name__ == "__main__":
    asyncio.run(main())
