"""A process that runs a batch and kills itself at a chosen step, if told to."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from memories_async import Client, Hosts, Ledger, Limit, Limits, Policy, clips
from memories_async.ledger._claims import Claimed

STEPS = ("before intent", "after intent", "as it is sent", "before outcome", "after outcome")


def picture(number: int) -> bytes:
    """A unique picture, by which the service's account tells the items apart."""
    return b"\x89PNG\r\n\x1a\n" + number.to_bytes(8, "big")


def calls(count: int, video_no: str):
    """Build the items of the batch one by one."""
    for number in range(count):
        yield number, clips.search(picture(number), prompt="anything", video_no=video_no)


def run(pipe, url: str, key: str, path: str, settings: dict) -> None:
    """Run the batch to its end and send its outcomes through *pipe*."""
    pipe.send("ready")
    if "step" in settings:
        die_at(settings["step"], settings["nth"])
    pipe.send(asyncio.run(_run(url, key, path, settings)))


async def _run(url: str, key: str, path: str, settings: dict):
    limits = Limits(search=Limit(settings.get("rate", 100_000)))
    policy = Policy(timeout=10.0, attempts=1)
    found = {}
    async with Client(api_key=key, hosts=Hosts.at(url), limits=limits, policy=policy) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(
            calls(settings["count"], settings["video_no"]),
            ledger=Ledger(Path(path)),
            concurrency=settings.get("concurrency", 8),
            on_unknown=settings.get("on_unknown", "park"),
        ) as batch:
            async for outcome in batch:
                found[outcome.key] = None if outcome.error is None else outcome.error.billed
    return found


def die_at(step: str, nth: int) -> None:  # noqa: C901  # one arm a step
    """Kill this process the *nth* time that it reaches *step*."""
    left = nth

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(name: str, *, before: bool):
        original = getattr(Claimed, name)

        async def wrapped(self, *args, **kwargs):
            if before:
                die()
            await original(self, *args, **kwargs)
            if not before:
                die()

        return wrapped

    def sent(self):
        die()

    match step:
        case "before intent":
            Claimed.sending = around("sending", before=True)
        case "after intent":
            Claimed.sending = around("sending", before=False)
        case "as it is sent":
            Claimed.sent = sent
        case "before outcome":
            Claimed.answered = around("answered", before=True)
        case "after outcome":
            Claimed.answered = around("answered", before=False)
