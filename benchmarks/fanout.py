"""Does memory stay flat over 1,000,000 calls? Through `client.batch`, against gather."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import _harness as harness

from memories_async import Client, Limit, Limits, embeddings
from memories_async._http.attempt import Attempt
from memories_async._protocol.reply import Reply

WIDTH = 64
REPLY = Reply(status=200, body=b'{"code": "0000", "data": {"embedding": [1.0]}}')
CALL = embeddings.video("re_657")


class Nowhere:
    """A transport that answers at once."""

    async def carry(self, attempt: Attempt) -> Reply:
        """Answer, after giving the others a turn."""
        await asyncio.sleep(0)
        return REPLY

    async def aclose(self) -> None:
        """Nothing was opened."""


def client() -> Client:
    """Build a client with everything but a network."""
    far = Limits(embeddings=Limit(1e9, concurrency=WIDTH))
    one = Client(api_key=harness.KEY, limits=far)
    one._transport = Nowhere()
    return one


async def through_batch(count: int) -> None:
    """Let a batch take from an iterator, and look at each outcome once."""
    calls = ((number, CALL) for number in range(count))
    seen = 0
    async with client().batch(calls, concurrency=WIDTH) as outcomes:
        async for outcome in outcomes:
            assert outcome.error is None
            seen += 1
    assert seen == count


async def through_workers(count: int) -> None:
    """Let a few workers take from one iterator: what the client itself keeps."""
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
    count, many = (30_000, 5_000) if harness.quick(__doc__) else (1_000_000, 100_000)
    theirs = harness.apart(measured, through_gather, many)
    for name, work in (("batch", through_batch), ("workers", through_workers)):
        harness.report(
            f"fanout_{count}_{name}_growth",
            [harness.apart(measured, work, count)],
            yardstick=f"gather: {theirs / many * 1e6:,.0f} mb for 1,000,000, from {many:,}",
            unit="mb",
            at_most=5.0,
        )


if __name__ == "__main__":
    main()
