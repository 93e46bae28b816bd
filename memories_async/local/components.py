"""The parts of one service: how they are assembled, started and stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web
from attrs import define

from memories_async.local.egress.client import EgressClient
from memories_async.local.egress.policy import AllowedHosts, EgressPolicy
from memories_async.local.engine.protocol import Engine
from memories_async.local.inbox import Inbox
from memories_async.local.jobs.background import BackgroundTasks
from memories_async.local.jobs.callbacks import Callbacks, Outbox
from memories_async.local.jobs.caption_jobs import CaptionJobs
from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.ingest import IngestJobs
from memories_async.local.jobs.request_context import Route
from memories_async.local.jobs.upload_store import UploadStore
from memories_async.local.pipeline.listener import Listener
from memories_async.local.pipeline.requests import RequestPipeline
from memories_async.local.routes.assets import (
    AssetMetadata,
    DeleteAsset,
    DownloadAsset,
    UploadAsset,
)
from memories_async.local.routes.captions import build_caption_routes
from memories_async.local.routes.downloads import DownloadBlob, DownloadVideo
from memories_async.local.routes.embeddings import EmbedImage, EmbedVideo
from memories_async.local.routes.search import SearchClips
from memories_async.local.routes.signed_urls import ReceiveFile, SignedUrls, SignUrl
from memories_async.local.routes.uploads import UploadFile, UploadUrl
from memories_async.local.routes.videos import (
    DeleteVideos,
    ListVideos,
    VideoDetails,
    VideoMetadata,
)
from memories_async.local.state.accounts import Accounts
from memories_async.local.state.faults import Faults
from memories_async.local.state.library import Library, resolve_sources
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.rate_limits import SlidingWindows
from memories_async.local.state.request_log import RequestLog
from memories_async.local.state.wire import Dialect

__all__ = ["Components", "assemble", "build_engine_pool"]

_FETCH_TIMEOUT = 30.0
"""Seconds for fetching what a request names by URL."""


@define(eq=False, kw_only=True)
class Components:
    """Everything that a service consists of."""

    accounts: Accounts
    engine_pool: EnginePool
    upload_store: UploadStore
    pipeline: RequestPipeline
    outbox: Outbox
    fetcher: EgressClient
    background: BackgroundTasks
    listener: Listener
    inbox: Inbox

    async def start(self, host: str, port: int, own_routes: Iterable[web.RouteDef]) -> None:
        """Listen, and forbid outgoing requests to the service's own port."""
        await self.listener.start(host, port, own_routes)
        try:
            await self.inbox.start()
        except BaseException:
            await self.listener.stop()
            raise
        self.engine_pool.open()
        address = self.listener.address
        assert address is not None
        for egress in (self.fetcher, self.outbox.egress):
            egress.policy.own_port = address.port

    async def stop(self) -> None:
        """Stop listening, cancel what is under way, and delete the uploads."""
        await self.listener.stop()
        self.background.cancel()
        await self.background.drain()
        await self.inbox.stop()
        for egress in (self.fetcher, self.outbox.egress):
            await egress.close()
        self.upload_store.clear()
        self.engine_pool.close()

    def reset(self) -> None:
        """Forget requests and uploads; keep videos, indexes, keys and settings."""
        self.background.cancel()
        self.upload_store.clear()
        self.accounts.reset()
        self.pipeline.faults.clear()
        self.pipeline.windows.reset()
        self.pipeline.request_log.reset()
        self.outbox.reset()
        self.inbox.reset()


def build_engine_pool(
    videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    engine: Engine | None,
    cache: str | os.PathLike[str] | None,
    *,
    dimensions: int,
    time_limit: float,
) -> EnginePool:
    """Build the pool of *engine*, or of a `PixelEngine`, which then ends with the service."""
    library = Library(resolve_sources(videos))
    if engine is not None:
        return EnginePool(engine=engine, library=library, dimensions=dimensions)
    from memories_async.local.engine.pixels import PixelEngine  # noqa: PLC0415  # says what to install

    pixels = PixelEngine(None if cache is None else Path(cache), time_limit=time_limit)
    return EnginePool(
        engine=pixels, library=library, dimensions=dimensions, close_engine=pixels.close
    )


def assemble(
    *,
    engine_pool: EnginePool,
    windows: SlidingWindows,
    page_limits: PageLimits,
    dialect: Dialect,
    callbacks: AllowedHosts | Callbacks,
    fetch: AllowedHosts,
    parsing_seconds: float,
    seed: int | None,
) -> Components:
    """Create the parts of a service and connect them; nothing is opened yet."""
    accounts, faults, background = Accounts(), Faults(seed or 0), BackgroundTasks()
    if not isinstance(callbacks, Callbacks):
        callbacks = Callbacks(allowed_hosts=callbacks)
    policy = EgressPolicy(callbacks.allowed_hosts)
    outbox = Outbox(callbacks, EgressClient(policy, callbacks.timeout))
    fetcher = EgressClient(EgressPolicy(fetch), _FETCH_TIMEOUT)
    store = UploadStore(engine_pool)
    ingest = IngestJobs(
        upload_store=store,
        engine_pool=engine_pool,
        outbox=outbox,
        background=background,
        seconds=parsing_seconds,
    )
    captions = CaptionJobs(
        engine_pool=engine_pool,
        page_limits=page_limits,
        outbox=outbox,
        fetcher=fetcher,
        background=background,
        random=Random(seed),  # noqa: S311  # ids of tasks, not secrets
    )
    pipeline = RequestPipeline(
        accounts=accounts, windows=windows, faults=faults, request_log=RequestLog(), dialect=dialect
    )
    routes = _list_routes(captions, ingest, page_limits)
    return Components(
        accounts=accounts,
        engine_pool=engine_pool,
        upload_store=store,
        pipeline=pipeline,
        outbox=outbox,
        fetcher=fetcher,
        background=background,
        listener=Listener(pipeline, routes, engine_pool.engine.name),
        inbox=Inbox(),
    )


def _list_routes(
    captions: CaptionJobs, ingest: IngestJobs, page_limits: PageLimits
) -> tuple[Route[Any], ...]:
    store = ingest.upload_store
    signed_urls = SignedUrls(store)
    return (
        SearchClips(engine_pool=captions.engine_pool, upload_store=store, page_limits=page_limits),
        *build_caption_routes(captions, page_limits),
        EmbedVideo(engine_pool=captions.engine_pool, upload_store=store),
        EmbedImage(engine_pool=captions.engine_pool, page_limits=page_limits),
        UploadFile(ingest_jobs=ingest, page_limits=page_limits),
        UploadUrl(ingest_jobs=ingest, fetcher=captions.fetcher, page_limits=page_limits),
        VideoMetadata(upload_store=store),
        VideoDetails(upload_store=store),
        ListVideos(upload_store=store),
        DeleteVideos(upload_store=store),
        DownloadVideo(upload_store=store),
        DownloadBlob(upload_store=store),
        UploadAsset(ingest_jobs=ingest, page_limits=page_limits),
        SignUrl(signed_urls=signed_urls),
        ReceiveFile(signed_urls=signed_urls, ingest_jobs=ingest, page_limits=page_limits),
        AssetMetadata(upload_store=store),
        DeleteAsset(upload_store=store),
        DownloadAsset(upload_store=store),
    )
