"""The machine: all parts of one service, put together, started and stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from aiohttp import web
from attrs import define

from memories_async.local.egress.client import Outgoing
from memories_async.local.egress.policy import Guard, Reach
from memories_async.local.inbox import Inbox
from memories_async.local.jobs.background import Errands
from memories_async.local.jobs.callbacks import Callbacks, Outbox
from memories_async.local.jobs.caption_jobs import Studio
from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.ingest import Parsing
from memories_async.local.jobs.request_context import Route
from memories_async.local.jobs.upload_store import Shelf
from memories_async.local.pipeline.listener import Listener
from memories_async.local.pipeline.requests import Door
from memories_async.local.routes.assets import (
    AssetMetadata,
    DeleteAsset,
    DownloadAsset,
    UploadAsset,
)
from memories_async.local.routes.captions import CaptionFile, CaptionUrl
from memories_async.local.routes.embeddings import Embed
from memories_async.local.routes.search import Search
from memories_async.local.routes.uploads import UploadFile, UploadUrl
from memories_async.local.routes.videos import DeleteVideos, ListVideos, VideoMetadata
from memories_async.local.state.accounts import Accounts
from memories_async.local.state.faults import Faults
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.rate_limits import Windows
from memories_async.local.state.request_log import RequestLog
from memories_async.local.state.wire import Dialect

__all__ = ["Machine", "build"]

_FETCH_TIMEOUT = 30.0


@define(eq=False, kw_only=True)
class Machine:
    """What a service is made of."""

    accounts: Accounts
    workshop: Workshop
    shelf: Shelf
    door: Door
    outbox: Outbox
    fetching: Outgoing
    errands: Errands
    listener: Listener
    inbox: Inbox

    async def start(self, port: int, own_routes: Callable[[], Iterable[web.RouteDef]]) -> None:
        """Listen, and let nothing that goes out come back in."""
        await self.listener.start(port, own_routes())
        await self.inbox.start()
        self.workshop.open()
        for outgoing in (self.fetching, self.outbox.outgoing):
            outgoing.guard.own_port = self.listener.port

    async def stop(self) -> None:
        """Break off what is under way."""
        await self.listener.stop()
        self.errands.cancel()
        await self.errands.settle()
        await self.inbox.stop()
        for outgoing in (self.fetching, self.outbox.outgoing):
            await outgoing.close()
        self.shelf.clear()
        self.workshop.close()

    def forget(self) -> None:
        """Forget what was asked and uploaded, and keep videos, indexes, keys and settings."""
        self.errands.cancel()
        self.shelf.clear()
        self.accounts.reset()
        self.door.faults.clear()
        self.door.windows.reset()
        self.door.request_log.reset()
        self.outbox.reset()
        self.inbox.reset()


def build(
    *,
    accounts: Accounts,
    workshop: Workshop,
    windows: Windows,
    rules: Rules,
    dialect: Dialect,
    callbacks: Callbacks,
    fetch: Reach,
    parsing_seconds: float,
    seed: int | None,
) -> Machine:
    """Put the parts together; nothing is opened yet."""
    outbox = Outbox(callbacks, Outgoing(Guard(callbacks.reach), callbacks.timeout))
    fetching, errands = Outgoing(Guard(fetch), _FETCH_TIMEOUT), Errands()
    shelf = Shelf(workshop)
    parsing = Parsing(
        shelf=shelf, workshop=workshop, outbox=outbox, errands=errands, seconds=parsing_seconds
    )
    studio = Studio(
        workshop=workshop,
        rules=rules,
        outbox=outbox,
        fetching=fetching,
        errands=errands,
        dice=Random(seed),  # noqa: S311  # ids of tasks, not secrets
    )
    faults = Faults(seed or 0)
    door = Door(
        accounts=accounts, windows=windows, faults=faults, request_log=RequestLog(), dialect=dialect
    )
    routes = _routes(studio, parsing, fetching, shelf, rules)
    return Machine(
        accounts=accounts,
        workshop=workshop,
        shelf=shelf,
        door=door,
        outbox=outbox,
        fetching=fetching,
        errands=errands,
        listener=Listener(door, routes, workshop.engine.name),
        inbox=Inbox(),
    )


def _routes(
    studio: Studio, parsing: Parsing, fetching: Outgoing, shelf: Shelf, rules: Rules
) -> tuple[Route[Any], ...]:
    """List what the service answers: the three pages, and the libraries behind them."""
    return (
        Search(workshop=studio.workshop, shelf=shelf, rules=rules),
        CaptionUrl(studio=studio, rules=rules),
        CaptionFile(studio=studio, rules=rules),
        Embed(workshop=studio.workshop, shelf=shelf),
        UploadFile(parsing=parsing, rules=rules),
        UploadUrl(parsing=parsing, fetching=fetching, rules=rules),
        VideoMetadata(shelf=shelf),
        ListVideos(shelf=shelf),
        DeleteVideos(shelf=shelf),
        UploadAsset(parsing=parsing, rules=rules),
        AssetMetadata(shelf=shelf),
        DeleteAsset(shelf=shelf),
        DownloadAsset(shelf=shelf),
    )
