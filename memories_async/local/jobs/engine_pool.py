"""The workshop: the engine at work in threads, so that the event loop never waits for pixels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    Index,
    SearchResult,
    UnreadableVideo,
)
from memories_async.local.state.library import Library, LocalVideo

__all__ = ["Workshop"]

T = TypeVar("T")

# Indexes held in memory; the engine's disk cache holds the rest.
KEPT = 64


@define(eq=False)
class Workshop:
    """Runs an engine: each video is indexed once, however many requests wait for it."""

    engine: Engine
    library: Library
    dimensions: int
    ending: Callable[[], None] | None = None
    """Ends what the engine has under way; given where nobody else uses the engine."""
    _indexing: ThreadPoolExecutor = field(init=False)
    _answering: ThreadPoolExecutor = field(init=False)
    _indexes: dict[Path, asyncio.Future[Index]] = field(
        init=False, factory=dict[Path, asyncio.Future[Index]]
    )
    _embeddings: dict[Path, tuple[float, ...]] = field(
        init=False, factory=dict[Path, tuple[float, ...]]
    )

    def open(self) -> None:
        """Get ready to take work on the running loop; threads start with the first work."""
        self._indexes.clear()
        self._indexing = ThreadPoolExecutor(2, "memories-index")
        self._answering = ThreadPoolExecutor(4, "memories-answer")

    def close(self) -> None:
        """Take no more work; what an engine of others has begun, it ends on its own."""
        for pool in (self._indexing, self._answering):
            pool.shutdown(wait=False, cancel_futures=True)
        if self.ending is not None:
            self.ending()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run *work* beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._answering, work)

    async def find(self, name: str) -> LocalVideo | None:
        """Look an id up; the first question reads the library's files."""
        if self.library.ready:
            return self.library.find(name)
        return await self.in_thread(lambda: self.library.find(name))

    async def warm(self) -> None:
        """Index every video of the library; an unreadable one is left for its own request."""
        videos = await self.in_thread(self.library.videos)
        await asyncio.gather(*map(self.index_of, videos), return_exceptions=True)

    async def search(self, video: LocalVideo, image: bytes, prompt: str) -> SearchResult:
        """Find the stretches of *video* that look like *image*."""
        index = await self.index_of(video)
        return await self.in_thread(lambda: self.engine.search(index, image, prompt))

    async def embed(self, video: LocalVideo) -> tuple[float, ...]:
        """Describe the whole *video* by one vector, computed once."""
        if video.path not in self._embeddings:
            index = await self.index_of(video)
            vector = await self.in_thread(lambda: self.engine.embed(index, self.dimensions))
            self._embeddings[video.path] = vector
        return self._embeddings[video.path]

    async def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Tell what an *index* holds."""
        return await self.in_thread(lambda: self.engine.caption(index, request))

    async def indexing(self, work: Callable[[], T]) -> T:
        """Run the costly *work* of decoding in its turn, apart from quick answers."""
        return await asyncio.get_running_loop().run_in_executor(self._indexing, work)

    async def index_of(self, video: LocalVideo) -> Index:
        """The index of a video of the library, kept."""
        waiting = self._indexes.get(video.path)
        if waiting is None:
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(self._indexing, self.engine.index, video.path)
            self._keep(video.path, waiting)
        # One caller that gives up must not take the work from the others.
        try:
            return await asyncio.shield(waiting)
        except UnreadableVideo:
            raise
        except Exception:
            self._indexes.pop(video.path, None)
            raise

    def known_duration(self, video: LocalVideo) -> float | None:
        """How long *video* lasts, in seconds, if it was looked at already."""
        waiting = self._indexes.get(video.path)
        if waiting is None or not waiting.done() or waiting.cancelled() or waiting.exception():
            return None
        return waiting.result().facts.duration

    def forget(self, video: LocalVideo) -> None:
        """Drop what is known of a video that was deleted."""
        self._indexes.pop(video.path, None)
        self._embeddings.pop(video.path, None)

    def _keep(self, path: Path, waiting: asyncio.Future[Index]) -> None:
        self._indexes[path] = waiting
        if len(self._indexes) > KEPT:
            del self._indexes[next(iter(self._indexes))]
