"""The embedded service: the three hosts of the API on one loopback port."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from memories_async._protocol.network import Address, is_loopback
from memories_async.local.admin import AdminRoutes
from memories_async.local.client_settings import ClientSettings
from memories_async.local.components import assemble, build_engine_pool
from memories_async.local.egress.policy import AllowedHosts
from memories_async.local.engine.protocol import Engine
from memories_async.local.inbox import Inbox
from memories_async.local.jobs.callbacks import Callbacks, Outbox
from memories_async.local.jobs.upload_store import StoredUpload
from memories_async.local.pipeline.listener import LOOPBACK
from memories_async.local.service_thread import ServiceThread, start_thread
from memories_async.local.state.accounts import Account
from memories_async.local.state.faults import Faults
from memories_async.local.state.library import LocalVideo
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.rate_limits import DOCUMENTED, Rate, SlidingWindows, parse_rates
from memories_async.local.state.request_log import LoggedRequest
from memories_async.local.state.wire import Dialect

if TYPE_CHECKING:
    from memories_async import Client, blocking

__all__ = ["LocalService"]

T = TypeVar("T")


class LocalService:
    """An embedded memories.ai that answers from your own videos and keeps accounts with points.

    Enter it with `async with` on a running event loop, or with `with` from blocking code, where it
    runs on a thread of its own. All state is in the object, so several services can run side by
    side, each on its own port. Videos are read when they are first needed.

    Attributes: `account` is the first account, whose key the clients use; `faults` are the rules for
    faulty answers; `inbox` receives callbacks; `outbox` lists and repeats their deliveries;
    `engine` computes the answers.
    """

    def __init__(
        self,
        videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        host: str = LOOPBACK,
        port: int = 0,
        allow_remote: bool = False,
        engine: Engine | None = None,
        cache: str | os.PathLike[str] | None = None,
        limits: Mapping[str, Rate | float] | Rate | float | None = DOCUMENTED,
        points: int = 1_000_000,
        prices: Mapping[str, int] | None = None,
        dimensions: int = 1024,
        callbacks: AllowedHosts | Callbacks = "loopback",
        fetch: AllowedHosts = "loopback",
        parsing_seconds: float = 0.05,
        time_limit: float = 3600.0,
        page_limits: PageLimits | None = None,
        dialect: Dialect | None = None,
        seed: int | None = None,
    ) -> None:
        """Configure a service; nothing is opened or read before it is entered.

        *videos* are files and folders of videos. A *host* that other machines can reach needs
        *allow_remote* and an *api_key*; they see plain HTTP. *engine* computes the answers, a `PixelEngine` with
        its indexes in the folder *cache* by default. *limits* are requests a second: one figure for
        every endpoint family, or a mapping by the names of `memories_async.Limits`; the documented
        limits by default; None for no limits. *prices* are points by route, 1 unless given.
        *callbacks* and *fetch* say which hosts the service itself may connect to.
        *parsing_seconds* is the delay before an upload is parsed. *time_limit* is the number of seconds
        after which the default engine gives up indexing a video. With *seed*, task ids and the
        chances of faults repeat from run to run. Raises `ValueError` for a path that does not
        exist, a key that looks real, and a limit that does not exist.
        """
        _check_host(host, is_open=allow_remote and api_key is not None)
        self._host, self._port = host, port
        self._points, self._prices = points, dict(prices or {})
        self._components = assemble(
            engine_pool=build_engine_pool(
                videos, engine, cache, dimensions=dimensions, time_limit=time_limit
            ),
            windows=SlidingWindows(parse_rates(limits)),
            page_limits=page_limits or PageLimits(),
            dialect=dialect or Dialect(),
            callbacks=callbacks,
            fetch=fetch,
            parsing_seconds=parsing_seconds,
            seed=seed,
        )
        self.account: Account = self.open_account(api_key=api_key, caption_api_key=caption_api_key)
        self.faults: Faults = self._components.pipeline.faults
        self.inbox: Inbox = self._components.inbox
        self.outbox: Outbox = self._components.outbox
        self.engine: Engine = self._components.engine_pool.engine
        self._thread: ServiceThread | None = None

    def __repr__(self) -> str:
        """Show the address, and no key."""
        is_running = self._components.listener.address is not None
        return f"<LocalService {self.url if is_running else 'stopped'}>"

    async def __aenter__(self) -> Self:
        """Start on the running event loop."""
        routes = AdminRoutes(self._components).routes()
        await self._components.start(self._host, self._port, routes)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and cancel what is under way."""
        await self._components.stop()

    def __enter__(self) -> Self:
        """Start on a thread of its own."""
        started = start_thread()
        try:
            started.portal.call(self.__aenter__)
        except BaseException:
            started.stop()
            raise
        self._thread = started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        started = self._thread
        if started is None or os.getpid() != started.process:
            return  # a forked child has no such thread, and its parent goes on
        self._thread = None
        try:
            started.portal.call(self._components.stop)
        finally:
            started.stop()

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run *work* on the thread of a service entered with `with`: `service.run(service.warm)`."""
        if self._thread is None:
            raise RuntimeError("the service has no thread: enter it with 'with', not 'async with'")
        return self._thread.get_portal().call(work)

    @property
    def url(self) -> str:
        """Base URL of all three hosts, for clients on this machine."""
        address = self._components.listener.address
        if address is None:
            raise RuntimeError(
                "the service is not running: enter it with 'with' or 'async with' first"
            )
        is_every_interface = ip_address(address.host).is_unspecified
        return Address(LOOPBACK, address.port).url if is_every_interface else address.url

    @property
    def api_key(self) -> str:
        """The first account's key for searches, embeddings, videos and assets."""
        return next(iter(self.account.keys))

    @property
    def caption_api_key(self) -> str:
        """The first account's key for captions; the same as `api_key` unless it was given."""
        return next(iter(self.account.caption_keys))

    def client(self, **settings: Any) -> Client:
        """Build an asynchronous client of this service; *settings* are the client's arguments.

        The client keeps no rate limits where the service has none.
        """
        from memories_async import Client  # noqa: PLC0415  # serving needs no client

        return Client(**(self._client_settings.build_arguments() | settings))

    def blocking_client(self, **settings: Any) -> blocking.Client:
        """Build a blocking client of this service, as `client` does."""
        from memories_async import blocking  # noqa: PLC0415  # serving needs no client

        return blocking.Client(**(self._client_settings.build_arguments() | settings))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead `Client()`, or a program, to this service: keys, hosts and rates.

        The rates are those of the endpoint families for which the service allows more than is
        documented: without them, a client keeps the documented limits.
        """
        return self._client_settings.build_environment()

    @property
    def _client_settings(self) -> ClientSettings:
        return ClientSettings(
            url=self.url,
            api_key=self.api_key,
            caption_api_key=self.caption_api_key,
            limits=self.limits,
        )

    def open_account(
        self,
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        points: int | None = None,
    ) -> Account:
        """Add an account with keys, points and rate limits of its own."""
        return self._components.accounts.open(
            key=api_key,
            caption_key=caption_api_key,
            points=self._points if points is None else points,
            prices=self._prices,
        )

    @property
    def library(self) -> tuple[LocalVideo, ...]:
        """The videos that the service was given, with their ids; the first use reads the files."""
        return self._components.engine_pool.library.videos()

    @property
    def uploads(self) -> tuple[StoredUpload, ...]:
        """Every uploaded video and asset that was not deleted, oldest first."""
        return tuple(self._components.upload_store)

    @property
    def request_log(self) -> tuple[LoggedRequest, ...]:
        """Every request that reached a route, oldest first."""
        return self._components.pipeline.request_log.all()

    @property
    def dialect(self) -> Dialect:
        """The dialect that the service speaks; it can be set at any time."""
        return self._components.pipeline.dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._components.pipeline.dialect = dialect

    @property
    def limits(self) -> Mapping[str, Rate]:
        """The rate limits by endpoint family; set them as the constructor takes them."""
        return self._components.pipeline.windows.rates

    @limits.setter
    def limits(self, limits: Mapping[str, Rate | float] | Rate | float | None) -> None:
        self._components.pipeline.windows.rates = parse_rates(limits)

    async def warm(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Index the whole library now, instead of each video at its first use.

        *progress* is called with the number of videos that are done and of all videos.
        """
        await self._components.engine_pool.warm(progress)

    async def drain(self) -> None:
        """Wait until every upload is parsed and every caption is delivered or given up."""
        await self._components.background.drain()

    def reset(self) -> None:
        """Forget requests, points, faults, callbacks, tasks and uploads; keep the library's indexes."""
        if self._thread is None:
            self._components.reset()
        else:
            self._thread.get_portal().call(self._components.reset)


def _check_host(host: str, *, is_open: bool) -> None:
    if not is_loopback(host) and not is_open:
        raise ValueError(
            f"host: other machines can reach {host!r}; pass allow_remote=True and an api_key "
            "where that is wanted"
        )
