"""Sending the calls of a command with a client of its own, and reporting retries as they happen."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from attrs import define, field

from memories_async import Client
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli._run import CommandRun
from memories_async.cli._settings import Configuration
from memories_async.events import Answered, Began, Degraded, Ended, Event, Failed, Sending, Waiting

T = TypeVar("T")


@define(eq=False)
class CallObserver:
    """A client's observer: tracks the billed call in flight, and notes retries on the screen."""

    run: CommandRun
    requests: int = 0
    """Requests that the latest billed call has sent."""
    _failure: str = ""
    _free: set[str] = field(factory=set[str])
    """Ids of the free calls under way: an interrupt of one of them costs nothing."""

    def __call__(self, event: Event) -> None:
        """Follow *event*."""
        screen = self.run.screen
        match event:
            case Began(unit=None):
                self._free.add(event.call_id)
            case Ended():
                self._free.discard(event.call_id)
            case Sending() if event.call_id in self._free:
                pass
            case Sending():
                self.run.in_flight, self.requests = event.call, event.attempt
            case Degraded():
                screen.note(f"requests are slowed down: {event.reason}")
            case Waiting(seconds=float()):
                screen.note(f"{self._failure}; next attempt in {event.seconds:.1f} s")
            case Failed():
                self.run.in_flight = None
                self._failure = f"{event.call}: {event.error.message.rstrip('.')}"
            case Answered():
                self.run.in_flight = None
            case _:
                pass


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* as `asyncio.run` does; SIGTERM cancels it too, as Ctrl-C does.

    `systemctl stop`, `docker stop` and `timeout` send SIGTERM. A second signal ends it at once.
    Raises `KeyboardInterrupt` for both signals.
    """
    terminated = False

    def terminate(task: asyncio.Task[T]) -> None:
        nonlocal terminated
        if terminated:
            raise KeyboardInterrupt
        terminated = True
        task.cancel()

    async def run_with_handler() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
        # Only the main thread of a Unix process can handle the signal.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGTERM, terminate, task)
        return await task

    try:
        return asyncio.run(run_with_handler())
    except asyncio.CancelledError:
        if terminated:
            raise KeyboardInterrupt from None
        raise


def send(run: CommandRun, call: Call[T], configuration: Configuration) -> T:
    """Send *call* with a new client, and note what it cost."""
    observer = CallObserver(run)
    start = time.perf_counter()

    async def send_once() -> T:
        async with configuration.client(call.host, observers=(observer,)) as client:
            return await client.send(call)

    with run.screen.status(f"{call.name} ..."):
        answer = run_async(send_once())
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
    """Run *flow*, which sends several calls, with a new client."""

    async def run_once() -> T:
        observers = (CallObserver(run),)
        async with configuration.client(Host.SEARCH, observers=observers, **settings) as client:
            return await flow(client)

    return run_async(run_once())
