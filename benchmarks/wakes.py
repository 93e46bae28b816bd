"""How soon a process that waits hears of what another process committed to PostgreSQL.

A ledger's waiter asks for a call that the other process is sending; a receiver's waits for a callback
that the other process stores. The time counts from before the commit until the waiter has its answer.
Two processes stand for two hosts; PostgreSQL runs on this machine, with its data synced to the disk.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from _harness import quick

from memories_async import CaptionTask, Ledger, Receiver
from memories_async._protocol.call import derive_fingerprint
from memories_async._protocol.reply import Reply
from memories_async.ledger._schema import EntryKey

TARGET = 250
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))


def make_key(number: int) -> EntryKey:
    """Make the key of a call of its own."""
    content = number.to_bytes(20, "big")
    key = derive_fingerprint(content, "a")
    return EntryKey(
        key=key, content=content, call="clips.search", asked="{}", account="a", unit="search"
    )


def serve_other(url: str, pipe: Connection) -> None:
    """Be the other host: do what *pipe* asks for, and say when it began."""
    asyncio.run(_serve_other(url, pipe))


async def _serve_other(url: str, pipe: Connection) -> None:
    from callbacks import deliver, success

    receiver = Receiver("https://public.example/cb", store=url)
    with Ledger(url) as ledger:
        while (order := pipe.recv()) is not None:
            if isinstance(order, int):
                (claim,) = await ledger.coordinator.claim([make_key(order)])
                await claim.sending()
                claim.sent()
                pipe.send("sent")
                pipe.recv()
                began = time.monotonic()
                await claim.answered(Reply(status=200, body=b"{}"))
                await claim.close()
            else:
                callback, task_id = order
                began = time.monotonic()
                await deliver(receiver, callback, success(task_id=task_id))
            pipe.send(began)
    receiver.close()


async def wait_for_call(ledger: Ledger, pipe: Connection, number: int) -> float:
    """Return the milliseconds until the reply of a call of the other process is read here."""
    pipe.send(number)
    await asyncio.to_thread(pipe.recv)
    (claim,) = await ledger.coordinator.claim([make_key(number)])
    waiting: Any = asyncio.create_task(claim.wait())
    await asyncio.sleep(0.05)
    pipe.send("answer")
    await waiting
    (paid,) = await ledger.coordinator.claim([make_key(number)])
    woken = time.monotonic()
    assert paid.reply.status == 200
    return (woken - await asyncio.to_thread(pipe.recv)) * 1e3


async def wait_for_callback(receiver: Receiver, pipe: Connection, number: int) -> float:
    """Return the milliseconds until a callback to the other process wakes its waiter here."""
    from callbacks import SUBMISSION, FakeSend

    send = FakeSend(CaptionTask(f"task-{number}"))
    task = await receiver.submit(SUBMISSION, send)
    waiting = asyncio.create_task(receiver.wait(task, timeout=60))
    await asyncio.sleep(0.12)
    pipe.send((send.url, task.task_id))
    await waiting
    woken = time.monotonic()
    return (woken - await asyncio.to_thread(pipe.recv)) * 1e3


async def measure(url: str, pipe: Connection, count: int) -> None:
    """Print the figures of both kinds of waiters."""
    numbers = range(count + 5)
    with Ledger(url) as ledger:
        show("ledger, identical call", [await wait_for_call(ledger, pipe, n) for n in numbers])
    receiver = Receiver("https://public.example/cb", store=url)
    show("receiver, callback", [await wait_for_callback(receiver, pipe, n) for n in numbers])
    receiver.close()


def show(name: str, seen: list[float]) -> None:
    """Print a line; the first five opened the connections."""
    kept = sorted(seen[5:])
    p50, p99 = (kept[int(len(kept) * part)] for part in (0.5, 0.99))
    print(
        f"{name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms of {len(kept)}"
        f" (target {TARGET} ms; load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


def main() -> None:
    """Start the server and the other process, and measure."""
    count = 50 if quick(__doc__) else 500
    from postgres import PostgresServer, find_binaries

    if find_binaries() is None:
        print("no PostgreSQL server is installed: nothing is measured")
        return
    server = PostgresServer(durable=True)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    url = server.url()
    other = context.Process(target=serve_other, args=(url, there))
    other.start()
    try:
        asyncio.run(measure(url, here, count))
        here.send(None)
        other.join()
    finally:
        other.kill()
        server.remove()


if __name__ == "__main__":
    main()
