"""Sending the calls of a command with a client of its own, and reporting retries as they happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from attrs import define

from memories_async import Client
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli._run import CommandRun
from memories_async.cli._settings import Configuration
from memories_async.events import Degraded, Event, Failed, Sending, Waiting

T = TypeVar("T")

_FREE = frozenset(
    {"videos.metadata", "videos.list", "videos.delete", "assets.metadata", "assets.delete"}
)
"""Free calls: an interrupt while one of them is in flight costs nothing."""


@define(eq=False)
class CallObserver:
    """A client's observer: tracks the billed call in flight, and notes retries on the screen."""

    run: CommandRun
    requests: int = 0
    """Requests that the latest billed call has sent."""
    _failure: str = ""

    def __call__(self, event: Event) -> None:
        """Follow *event*."""
        screen = self.run.screen
        match event:
            case Sending() if event.call in _FREE:
                pass
            case Sending():
                self.run.in_flight, self.requests = event.call, event.attempt
            case Degraded():
                screen.note(f"requests are slowed down: {event.reason}")
            case Waiting():
                screen.note(f"{self._failure}; next attempt in {event.seconds:.1f} s")
            case Failed():
                self.run.in_flight = None
                self._failure = f"{event.call}: {event.error.message.rstrip('.')}"
            case _:  # answered
                self.run.in_flight = None


def send(run: CommandRun, call: Call[T], configuration: Configuration) -> T:
    """Send *call* with a new client, and note what it cost. Ctrl-C cancels it."""
    observer = CallObserver(run)
    start = time.perf_counter()

    async def send_once() -> T:
        async with configuration.client(call.host, observers=(observer,)) as client:
            return await client.send(call)

    with run.screen.status(f"{call.name} ..."):
        answer = asyncio.run(send_once())
    seconds = time.perf_counter() - start
    requests = f", {observer.requests} requests" if observer.requests > 1 else ""
    run.screen.note(f"charged: 1 {call.unit} ({seconds:.2f} s{requests})")
    return answer


def run_flow(
    run: CommandRun,
    flow: Callable[[Client], Coroutine[Any, Any, T]],
    configuration: Configuration,
    **settings: Any,
) -> T:
    """Run *flow*, which sends several calls, with a new client. Ctrl-C cancels it."""

    async def run_once() -> T:
        observers = (CallObserver(run),)
        async with configuration.client(Host.SEARCH, observers=observers, **settings) as client:
            return await flow(client)

    return asyncio.run(run_once())
