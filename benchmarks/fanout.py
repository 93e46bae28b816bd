"""Does memory stay flat over 1,000,000 calls? Through the client's concurrency, against gather."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import _harness as harness

from memories_async import Client, Limit, Limits, embeddings
from memories_async._replies import Reply
from memories_async._transport import Request

WIDTH = 64
REPLY = Reply(status=200, body=b'{"code": "0000", "data": {"embedding": [1.0]}}')
CALL = embeddings.video("re_657")


class Nowhere:
    """A transport that answers at once."""

    async def carry(self, request: Request) -> Reply:
        """Answer, after giving the others a turn."""
        await asyncio.sleep(0)
        return REPLY

    async def aclose(self) -> None:
        """Nothing was opened."""


def client() -> Client:
    """Build a client with everything but a network."""
    far = Limits(embeddings=Limit(1e9, concurrency=WIDTH))
    return Client.over(Client(api_key=harness.KEY, limits=far)._settings, Nowhere())


async def through_concurrency(count: int) -> None:
    """Let a few workers take from one iterator."""
    sender = client()
    await harness.at_once(lambda: sender.send(CALL), count=count, width=WIDTH)


async def through_gather(count: int) -> None:
    """Make all the tasks there are to be, and wait."""
    sender = client()
    await asyncio.gather(*(sender.send(CALL) for _ in range(count)))


def measured(work: Callable[[int], Awaitable[None]], count: int) -> float:
    """Tell the extra memory (MB), in a process of its own."""

    async def run() -> float:
        await work(1000)
        with harness.Peak() as peak:
            await work(count)
        return peak.extra

    return asyncio.run(run())


def main() -> None:
    """Compare, and print a line for each measure."""
    count, many = (100_000, 5_000) if harness.quick(__doc__) else (1_000_000, 100_000)
    theirs = harness.apart(measured, through_gather, many)
    ours = harness.apart(measured, through_concurrency, count)
    harness.report(
        f"fanout_{count}_growth",
        [ours],
        yardstick=f"gather: {theirs / many * 1e6:,.0f} mb for 1,000,000, from {many:,}",
        unit="mb",
        at_most=5.0,
    )


if __name__ == "__main__":
    main()
