"""Batches of embeddings, and a function that runs them to the end."""

from __future__ import annotations

import asyncio
import json

from samples import EMBEDDED, embed_call
from servers import answer

WRONG = {"code": 400, "msg": "no such asset"}


def items(count, start=0):
    """Build calls that differ in their asset."""
    return {number: embed_call(f"re_{number}") for number in range(start, start + count)}


def by_asset(special):
    """Answer with an embedding, or with the behaviour given for the asset."""
    otherwise = answer(EMBEDDED)

    async def behave(exchange):
        asset = json.loads(await exchange.receive())["asset_id"]
        await special.get(asset, otherwise)(exchange)

    return behave


async def outcomes(client, calls, **settings) -> dict:
    """Run a batch to its end."""
    async with client.batch(calls, **settings) as batch:
        return {outcome.key: outcome async for outcome in batch}


async def awaited(calls):
    """Yield calls one by one, as an asynchronous database does."""
    for pair in calls.items():
        await asyncio.sleep(0)
        yield pair
