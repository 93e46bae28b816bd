"""One run of the command: its screen, its flags, and what is under way when it is interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from attrs import define, field

from memories_async import Client
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli._exits import Exit, Problem
from memories_async.cli._screen import Screen
from memories_async.cli._settings import Configuration
from memories_async.events import Degraded, Event, Failed, Sending, Waiting

T = TypeVar("T")

_FREE = frozenset(
    {"videos.metadata", "videos.list", "videos.delete", "assets.metadata", "assets.delete"}
)
"""Calls that cost nothing, so that an interrupt among them cannot have cost anything either."""


@define(eq=False, kw_only=True)
class Run:
    """What the commands share; click hands it to each of them."""

    screen: Screen = field(factory=Screen)
    debug: bool = False
    name: str = "memories-async"
    """What stands before an error."""
    paid: str = ""
    """What is paid for and not shown yet: to be told should the command end without showing it."""
    again: str = ""
    """The command that goes on waiting for it."""
    _under_way: str | None = None
    _begun: float = field(factory=time.perf_counter)
    _requests: int = 0
    _failure: str = ""
    """Why the latest attempt failed."""

    def __call__(self, event: Event) -> None:
        """Follow a call as the client's observer."""
        match event:
            case Sending() if event.call in _FREE:
                pass
            case Sending():
                self._under_way, self._requests = event.call, event.attempt
            case Degraded():
                self.screen.note(f"asking slowly: {event.reason}")
            case Waiting():
                self.screen.note(f"{self._failure}; next attempt in {event.seconds:.1f} s")
            case Failed():
                self._under_way = None
                self._failure = f"{event.call}: {event.error.message.rstrip('.')}"
            case _:  # answered: the request is over
                self._under_way = None

    def send(self, call: Call[T], configuration: Configuration) -> T:
        """Send *call* with a client of its own, and note what it cost; Ctrl-C cancels it."""

        async def sent() -> T:
            async with configuration.client(call.host, observers=(self,)) as client:
                return await client.send(call)

        self._begun = time.perf_counter()
        with self.screen.waiting(f"{call.name} ..."):
            return asyncio.run(sent())

    def flow(
        self,
        flow: Callable[[Client], Coroutine[Any, Any, T]],
        configuration: Configuration,
        **settings: Any,
    ) -> T:
        """Run a flow of several calls with a client of its own; Ctrl-C cancels it."""

        async def done() -> T:
            async with configuration.client(Host.SEARCH, observers=(self,), **settings) as client:
                return await flow(client)

        return asyncio.run(done())

    def charged(self, unit: str) -> None:
        """Note what the latest call cost."""
        seconds = time.perf_counter() - self._begun
        requests = f", {self._requests} requests" if self._requests > 1 else ""
        self.screen.note(f"charged: 1 {unit} ({seconds:.2f} s{requests})")

    def interrupted(self) -> Problem:
        """Say what an interrupt may have cost: a request under way may be charged."""
        if self._under_way is None:
            sentence = f"interrupted; {self.paid}" if self.paid else "interrupted"
            billed = "yes" if self.paid else "no"
            return Problem(
                exit=Exit.INTERRUPTED,
                kind="Interrupted",
                sentence=sentence,
                advice=f"Go on with: {self.again}" if self.again else "",
                billed=billed,
            )
        return Problem(
            exit=Exit.INTERRUPTED,
            kind="Interrupted",
            sentence=f"interrupted while {self._under_way} was under way; it may have been charged",
            advice="Look at the account before running it again.",
            billed="maybe",
        )


@contextmanager
def arguments() -> Generator[None]:
    """Turn what a call's builder refuses into a usage error of the command."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error), click.get_current_context(silent=True)) from error


pass_run = click.make_pass_decorator(Run)
"""Gives a command its `Run` as the first argument."""
