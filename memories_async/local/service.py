"""The embedded service: the three hosts of the documentation on one loopback port."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from memories_async.local.accounts import Account, Accounts
from memories_async.local.admin import Desk
from memories_async.local.callbacks import Callbacks, Delivery, Outbox
from memories_async.local.captions import CaptionFile, CaptionUrl
from memories_async.local.door import Door
from memories_async.local.embeddings import Embed
from memories_async.local.engine.protocol import Engine
from memories_async.local.errands import Errands
from memories_async.local.faults import Faults
from memories_async.local.journal import Journal, Seen
from memories_async.local.library import Library, LocalVideo, as_sources
from memories_async.local.limits import Rate, Windows, as_rates
from memories_async.local.listener import HOST, Listener
from memories_async.local.outgoing import Outgoing
from memories_async.local.reach import Guard, Reach
from memories_async.local.rules import Rules
from memories_async.local.search import Search
from memories_async.local.studio import Studio
from memories_async.local.visit import Route
from memories_async.local.wire import Era
from memories_async.local.workshop import Workshop

if TYPE_CHECKING:
    from memories_async import Client, Hosts, blocking

__all__ = ["LocalService"]

_FETCH_TIMEOUT = 30.0


class LocalService:
    """Answers like memories.ai, from the videos given, and keeps the account.

    Use it as `async with` on a running loop, or as plain `with` from blocking code, where it runs
    on a thread of its own. All state is in the object: several stand side by side, each on its
    port. Videos are read at the first question.
    """

    def __init__(
        self,
        videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        port: int = 0,
        engine: Engine | None = None,
        cache: str | os.PathLike[str] | None = None,
        limits: Mapping[str, Rate | float] | Rate | float | None = 1.0,
        points: int = 1_000_000,
        prices: Mapping[str, int] | None = None,
        dimensions: int = 1024,
        callbacks: Reach | Callbacks = "loopback",
        fetch: Reach = "loopback",
        rules: Rules | None = None,
        era: Era | None = None,
        seed: int | None = None,
    ) -> None:
        """Prepare a service; nothing is opened or read before it is entered.

        *videos* are files and folders of videos. *limits* are requests a second for every endpoint
        family, or for each by name; None means no limit. *prices* are points by route, 1 unless
        given. *callbacks* and *fetch* say how far the service's own requests go. *seed* makes task
        ids repeat from run to run.
        """
        self._port, self._seed = port, seed
        self._accounts = Accounts()
        self._prices, self._points = dict(prices or {}), points
        self.account = self.open_account(api_key=api_key, caption_api_key=caption_api_key)
        chosen = engine if engine is not None else _pixels(cache)
        library = Library(as_sources(videos))
        self.workshop = Workshop(engine=chosen, library=library, dimensions=dimensions)
        self._assemble(rules or Rules(), _settings(callbacks), fetch, era or Era(), limits)
        self._thread: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    def _assemble(
        self,
        rules: Rules,
        callbacks: Callbacks,
        fetch: Reach,
        era: Era,
        limits: Mapping[str, Rate | float] | Rate | float | None,
    ) -> None:
        fetching = Outgoing(Guard(fetch), _FETCH_TIMEOUT)
        self._outbox = Outbox(callbacks, Outgoing(Guard(callbacks.reach), callbacks.timeout))
        self._outgoing = (fetching, self._outbox.outgoing)
        self._errands = Errands()
        studio = Studio(
            workshop=self.workshop,
            rules=rules,
            outbox=self._outbox,
            fetching=fetching,
            errands=self._errands,
            dice=Random(self._seed),  # noqa: S311  # ids of tasks, not secrets
        )
        self.faults = Faults(self._seed or 0)
        self._door = Door(
            accounts=self._accounts,
            windows=Windows(as_rates(limits)),
            faults=self.faults,
            journal=Journal(),
            era=era,
        )
        routes: tuple[Route[Any], ...] = (
            Search(workshop=self.workshop, rules=rules),
            CaptionUrl(studio=studio, rules=rules),
            CaptionFile(studio=studio, rules=rules),
            Embed(workshop=self.workshop),
        )
        self._listener = Listener(self._door, routes, self.engine_name)

    def __repr__(self) -> str:
        """Say where it is, and no key."""
        return f"<LocalService {'stopped' if self._listener.port is None else self.url}>"

    async def __aenter__(self) -> Self:
        """Start on the running loop."""
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and give up what is under way."""
        await self._stop()

    def __enter__(self) -> Self:
        """Start on a thread of its own."""
        self._thread = start_blocking_portal()
        self._portal = self._thread.__enter__()
        try:
            self._portal.call(self._start)
        except BaseException:
            self._leave_thread()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        assert self._portal is not None
        try:
            self._portal.call(self._stop)
        finally:
            self._leave_thread()

    def _leave_thread(self) -> None:
        thread, self._thread, self._portal = self._thread, None, None
        if thread is not None:
            thread.__exit__(None, None, None)

    async def _start(self) -> None:
        self.workshop.open()
        await self._listener.start(self._port, Desk(self).routes())
        for outgoing in self._outgoing:
            outgoing.guard.own_port = self._listener.port or 0

    async def _stop(self) -> None:
        self._errands.cancel()
        await self._errands.settle()
        await self._listener.stop()
        for outgoing in self._outgoing:
            await outgoing.close()
        self.workshop.close()

    @property
    def url(self) -> str:
        """Base URL of all three hosts."""
        if self._listener.port is None:
            raise RuntimeError("the service is not running: enter it by 'with' or 'async with'")
        return f"http://{HOST}:{self._listener.port}"

    @property
    def hosts(self) -> Hosts:
        """The three hosts, as a client wants them."""
        from memories_async import Hosts  # noqa: PLC0415  # the client is not needed to serve

        return Hosts.at(self.url)

    def client(self, **settings: Any) -> Client:
        """Make an asynchronous client of this service; *settings* are the client's own."""
        from memories_async import Client  # noqa: PLC0415  # see hosts

        return Client(**self._connection(), **settings)

    def blocking_client(self, **settings: Any) -> blocking.Client:
        """Make a blocking client of this service; use it beside `with`, or in another thread."""
        from memories_async import blocking  # noqa: PLC0415  # see hosts

        return blocking.Client(**self._connection(), **settings)

    def _connection(self) -> dict[str, Any]:
        return {
            "api_key": self.api_key,
            "caption_api_key": self.caption_api_key,
            "hosts": self.hosts,
        }

    @property
    def api_key(self) -> str:
        """The first account's key, for searches and embeddings."""
        return next(iter(self.account.keys))

    @property
    def caption_api_key(self) -> str:
        """The first account's key for captions; the same one, unless it was given."""
        return next(iter(self.account.caption_keys))

    def open_account(
        self,
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        points: int | None = None,
    ) -> Account:
        """Add a customer, with points and limits of its own."""
        return self._accounts.open(
            key=api_key,
            caption_key=caption_api_key,
            points=self._points if points is None else points,
            prices=self._prices,
        )

    @property
    def library(self) -> tuple[LocalVideo, ...]:
        """Every video, with its ids; reads the files the first time."""
        return self.workshop.library.videos()

    @property
    def engine_name(self) -> str:
        """What computes the answers: goes out with every reply as `X-Local-Engine`."""
        return self.workshop.engine.name

    @property
    def journal(self) -> tuple[Seen, ...]:
        """Every request that reached a route, oldest first."""
        return self._door.journal.all()

    @property
    def callbacks(self) -> tuple[Delivery, ...]:
        """Every attempt to deliver a result, oldest first."""
        return self._outbox.log

    @property
    def era(self) -> Era:
        """The dialect spoken; set it at any time."""
        return self._door.era

    @era.setter
    def era(self, era: Era) -> None:
        self._door.era = era

    @property
    def limits(self) -> Mapping[str, Rate]:
        """The rate limits in force; `set_limits` changes them."""
        return self._door.windows.rates

    def set_limits(self, limits: Mapping[str, Rate | float] | Rate | float | None) -> None:
        """Change the rate limits, as the constructor takes them."""
        self._door.windows.rates = as_rates(limits)

    @property
    def tasks_under_way(self) -> int:
        """Caption tasks whose result is not delivered yet."""
        return self._errands.under_way

    async def warm(self) -> None:
        """Index the whole library now, instead of each video at its first use."""
        await self.workshop.warm()

    async def settle(self) -> None:
        """Wait until every caption task is delivered or given up."""
        await self._errands.settle()

    async def resend(self, task_id: str) -> bool | None:
        """Deliver a finished task's result again; None when there is no result."""
        result = self._outbox.result(task_id)
        return None if result is None else await self._outbox.deliver(result)

    def reset(self) -> None:
        """Forget accounts' calls, faults, journal, callbacks and tasks; keep the library's index."""
        self._portal.call(self.forget) if self._portal is not None else self.forget()

    def forget(self) -> None:
        """Reset, on the service's own loop."""
        self._errands.cancel()
        self._accounts.reset()
        self.faults.clear()
        self._door.windows.reset()
        self._door.journal.reset()
        self._outbox.reset()


def _settings(callbacks: Reach | Callbacks) -> Callbacks:
    return callbacks if isinstance(callbacks, Callbacks) else Callbacks(reach=callbacks)


def _pixels(cache: str | os.PathLike[str] | None) -> Engine:
    from memories_async.local.engine.pixels import PixelEngine  # noqa: PLC0415  # says what to install

    return PixelEngine(cache=None if cache is None else Path(cache))
