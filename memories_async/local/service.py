"""The embedded service: the three hosts of the documentation on one loopback port."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from memories_async.local.admin import Desk
from memories_async.local.components import build
from memories_async.local.connection import connection
from memories_async.local.egress.policy import Reach
from memories_async.local.engine.protocol import Engine
from memories_async.local.inbox import Inbox
from memories_async.local.jobs.callbacks import Callbacks, Delivery
from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.upload_store import Stored
from memories_async.local.pipeline.listener import HOST
from memories_async.local.state.accounts import Account, Accounts
from memories_async.local.state.faults import Faults
from memories_async.local.state.library import Library, LocalVideo, as_sources
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.rate_limits import DOCUMENTED, Rate, Windows, as_rates
from memories_async.local.state.request_log import Seen
from memories_async.local.state.wire import Dialect

if TYPE_CHECKING:
    from memories_async import Client, Hosts, blocking
    from memories_async.local.engine.pixels import PixelEngine

__all__ = ["LocalService"]

T = TypeVar("T")


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
        limits: Mapping[str, Rate | float] | Rate | float | None = DOCUMENTED,
        points: int = 1_000_000,
        prices: Mapping[str, int] | None = None,
        dimensions: int = 1024,
        callbacks: Reach | Callbacks = "loopback",
        fetch: Reach = "loopback",
        parsing_seconds: float = 0.05,
        rules: Rules | None = None,
        dialect: Dialect | None = None,
        seed: int | None = None,
    ) -> None:
        """Prepare a service; nothing is opened or read before it is entered.

        *videos* are files and folders of videos. *limits* are requests a second for every endpoint
        family, or for each by name; the documented ones by default; None means no limit. *prices*
        are points by route, 1 unless given. *callbacks* and *fetch* say how far the service's own
        requests go. *parsing_seconds* is how long an upload waits before it is parsed. *seed* makes
        task ids repeat from run to run.
        """
        accounts = Accounts()
        self._port, self._points, self._prices = port, points, dict(prices or {})
        self._machine = build(
            accounts=accounts,
            workshop=_workshop(engine, cache, library=Library(as_sources(videos)), size=dimensions),
            windows=Windows(as_rates(limits)),
            rules=rules or Rules(),
            dialect=dialect or Dialect(),
            callbacks=_settings(callbacks),
            fetch=fetch,
            parsing_seconds=parsing_seconds,
            seed=seed,
        )
        self.account: Account = self.open_account(api_key=api_key, caption_api_key=caption_api_key)
        self.faults: Faults = self._machine.door.faults
        self._opened = ExitStack()
        self._portal: BlockingPortal | None = None
        self._process = 0

    def __repr__(self) -> str:
        """Say where it is, and no key."""
        return f"<LocalService {'stopped' if self._machine.listener.port is None else self.url}>"

    async def __aenter__(self) -> Self:
        """Start on the running loop."""
        await self._machine.start(self._port, Desk(self, self._machine).routes)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and give up what is under way."""
        await self._machine.stop()

    def __enter__(self) -> Self:
        """Start on a thread of its own."""
        with ExitStack() as opened:
            portal = opened.enter_context(start_blocking_portal())
            portal.call(self.__aenter__)
            self._portal, self._opened = portal, opened.pop_all()
            self._process = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        if os.getpid() != self._process:
            return  # a fork that ends has no such thread, and its parent goes on
        with self._opened:
            self.run(self._machine.stop)
        self._portal = None

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run *work* on the thread of a service entered by `with`, as `service.run(service.warm)`."""
        if self._portal is None:
            raise RuntimeError("the service has no thread: it is for those entered by plain 'with'")
        return self._portal.call(work)

    @property
    def url(self) -> str:
        """Base URL of all three hosts."""
        if self._machine.listener.port is None:
            raise RuntimeError("the service is not running: enter it by 'with' or 'async with'")
        return f"http://{HOST}:{self._machine.listener.port}"

    @property
    def hosts(self) -> Hosts:
        """The three hosts, as a client wants them."""
        from memories_async import Hosts  # noqa: PLC0415  # the client is not needed to serve

        return Hosts.at(self.url)

    def client(self, **settings: Any) -> Client:
        """Make an asynchronous client of this service; *settings* are the client's own.

        Where the service has no limits, the client keeps none either.
        """
        from memories_async import Client  # noqa: PLC0415  # see hosts

        return Client(**(connection(self) | settings))

    def blocking_client(self, **settings: Any) -> blocking.Client:
        """Make a blocking client of this service; use it beside `with`, or in another thread."""
        from memories_async import blocking  # noqa: PLC0415  # see hosts

        return blocking.Client(**(connection(self) | settings))

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
        return self._machine.accounts.open(
            key=api_key,
            caption_key=caption_api_key,
            points=self._points if points is None else points,
            prices=self._prices,
        )

    @property
    def library(self) -> tuple[LocalVideo, ...]:
        """Every video, with its ids; reads the files the first time."""
        return self._machine.workshop.library.videos()

    @property
    def uploads(self) -> tuple[Stored, ...]:
        """Every uploaded video and asset that is kept, oldest first."""
        return tuple(self._machine.shelf)

    @property
    def engine_name(self) -> str:
        """What computes the answers: goes out with every reply as `X-Local-Engine`."""
        return self._machine.workshop.engine.name

    @property
    def request_log(self) -> tuple[Seen, ...]:
        """Every request that reached a route, oldest first."""
        return self._machine.door.request_log.all()

    @property
    def callbacks(self) -> tuple[Delivery, ...]:
        """Every attempt to deliver a result, oldest first."""
        return self._machine.outbox.log

    @property
    def inbox(self) -> Inbox:
        """Where the service takes callbacks itself: give `inbox.url`, then `inbox.wait(task_id)`."""
        return self._machine.inbox

    @property
    def dialect(self) -> Dialect:
        """The dialect spoken; set it at any time."""
        return self._machine.door.dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._machine.door.dialect = dialect

    @property
    def limits(self) -> Mapping[str, Rate]:
        """The rate limits in force; `set_limits` changes them."""
        return self._machine.door.windows.rates

    def set_limits(self, limits: Mapping[str, Rate | float] | Rate | float | None) -> None:
        """Change the rate limits, as the constructor takes them."""
        self._machine.door.windows.rates = as_rates(limits)

    @property
    def tasks_under_way(self) -> int:
        """Caption tasks whose result is not delivered yet, and uploads that are not parsed."""
        return self._machine.errands.under_way

    async def warm(self) -> None:
        """Index the whole library now, instead of each video at its first use."""
        await self._machine.workshop.warm()

    async def settle(self) -> None:
        """Wait until every upload is parsed and every caption task delivered or given up."""
        await self._machine.errands.settle()

    async def resend(self, task_id: str) -> bool | None:
        """Deliver a finished task's result again; None when there is no result."""
        result = self._machine.outbox.result(task_id)
        return None if result is None else await self._machine.outbox.deliver(result)

    def reset(self) -> None:
        """Forget calls, faults, request_log, callbacks, tasks and uploads; keep the library's index."""
        if self._portal is None:
            self._machine.forget()
        else:
            self._portal.call(self._machine.forget)


def _settings(callbacks: Reach | Callbacks) -> Callbacks:
    return callbacks if isinstance(callbacks, Callbacks) else Callbacks(reach=callbacks)


def _workshop(
    engine: Engine | None, cache: str | os.PathLike[str] | None, *, library: Library, size: int
) -> Workshop:
    """Put an engine to work; one of our own making ends with the service."""
    if engine is not None:
        return Workshop(engine=engine, library=library, dimensions=size)
    own = _pixels(cache)
    return Workshop(engine=own, library=library, dimensions=size, ending=own.close)


def _pixels(cache: str | os.PathLike[str] | None) -> PixelEngine:
    from memories_async.local.engine.pixels import PixelEngine  # noqa: PLC0415  # says what to install

    return PixelEngine(cache=None if cache is None else Path(cache))
