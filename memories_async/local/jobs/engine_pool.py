"""Engine pool: runs an engine in threads, so that the event loop never waits for it."""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    EngineError,
    EngineFailed,
    Facts,
    Index,
    SearchResult,
    UnreadableVideo,
)
from memories_async.local.state.library import Library, LocalVideo
from memories_async.local.state.wire import Reason, Refusal, explain_os_error

__all__ = ["EnginePool"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

KEPT = 64
"""Indexes held in memory; the engine's cache on disk holds the rest."""
PATIENCE = 60.0
"""Seconds for which a request waits until its video is indexed; a client waits for 120."""
RETRY_AFTER = 60.0
"""Seconds for which a video that could not be read is refused without decoding it again. The reason
may have been the machine (its load, its memory), or the file may have been replaced."""


@define(eq=False)
class EnginePool:
    """Runs an engine. Each video is indexed once, however many requests wait for it.

    The engine may be anybody's: whatever it raises that is no `EngineError`, and an answer with
    numbers that are not finite, becomes `EngineFailed`.
    """

    engine: Engine
    library: Library
    dimensions: int
    close_engine: Callable[[], None] | None = None
    """Ends what the engine has under way; None where the engine belongs to somebody else."""
    _index_threads: ThreadPoolExecutor = field(init=False)
    _answer_threads: ThreadPoolExecutor = field(init=False)
    _indexes: dict[Path, asyncio.Future[Index | EngineError]] = field(
        init=False, factory=dict[Path, asyncio.Future[Index | EngineError]]
    )
    _embeddings: dict[Path, tuple[float, ...]] = field(
        init=False, factory=dict[Path, tuple[float, ...]]
    )

    _failures: dict[Path, float] = field(init=False, factory=dict[Path, float])

    def open(self) -> None:
        """Take work on the running event loop; threads start with the first work."""
        self._indexes.clear()
        self._failures.clear()
        self._index_threads = ThreadPoolExecutor(2, "memories-index")
        self._answer_threads = ThreadPoolExecutor(4, "memories-answer")

    def close(self) -> None:
        """Take no more work, and end the engine where it is the pool's own."""
        for pool in (self._index_threads, self._answer_threads):
            pool.shutdown(wait=False, cancel_futures=True)
        if self.close_engine is not None:
            self.close_engine()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run *work* beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._answer_threads, work)

    async def in_index_thread(self, work: Callable[[], T]) -> T:
        """Run the costly *work* of decoding, in threads that quick answers do not wait for."""
        return await asyncio.get_running_loop().run_in_executor(self._index_threads, work)

    async def find(self, name: str) -> LocalVideo | None:
        """Find a video of the library by its id."""
        if self.library.is_read:
            return self.library.find(name)
        return await self.in_thread(lambda: self.library.find(name))

    async def find_file(self, file_name: str) -> LocalVideo | None:
        """Find a video of the library by its file name."""
        if self.library.is_read:
            return self.library.find_file(file_name)
        return await self.in_thread(lambda: self.library.find_file(file_name))

    async def warm(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Index every video of the library; one that fails, fails again in its own request."""
        videos = await self.in_thread(self.library.videos)
        done = 0

        async def index(video: LocalVideo) -> None:
            nonlocal done
            try:
                await self.index(video)
            finally:
                done += 1
                if progress is not None:
                    progress(done, len(videos))

        if progress is not None:
            progress(0, len(videos))
        await asyncio.gather(*map(index, videos), return_exceptions=True)

    async def search(self, video: LocalVideo, image: bytes, prompt: str) -> SearchResult:
        """Find the clips of *video* that look like *image*; refuse while it is being indexed."""
        index = await self._index_soon(video)

        def find_clips() -> SearchResult:
            found = self.engine.search(index, image, prompt)
            for clip in found.clips:
                if not all(map(math.isfinite, (clip.start_time, clip.end_time, clip.score))):
                    raise EngineFailed("The engine's clips have numbers that are not finite.")
            return found

        return await self.in_thread(lambda: _guard(find_clips))

    async def embed(self, video: LocalVideo) -> tuple[float, ...]:
        """Compute the vector of a whole *video*, once."""
        if video.path not in self._embeddings:
            index = await self._index_soon(video)
            vector = await self.in_thread(lambda: self._embed(index))
            self._embeddings[video.path] = vector
        return self._embeddings[video.path]

    async def embed_content(self, content: bytes, file_name: str) -> tuple[float, ...]:
        """Compute the vector of a file that is in memory, such as a picture."""

        def embed_copy() -> tuple[float, ...]:
            with tempfile.TemporaryDirectory(prefix="memories-") as folder:
                path = Path(folder) / f"file{Path(file_name).suffix.lower()}"
                path.write_bytes(content)
                return self._embed(self.index_file(path))

        return await self.in_index_thread(embed_copy)

    async def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Describe the video of *index*."""

        def write_caption() -> CaptionText:
            caption = self.engine.caption(index, request)
            if not (caption.text and caption.input_tokens + caption.output_tokens >= 0):
                raise EngineFailed("The engine's caption is empty.")
            return caption

        return await self.in_thread(lambda: _guard(write_caption))

    async def index(self, video: LocalVideo) -> Index:
        """Index *video*, or return its index where it is known."""
        failed = self._failures.get(video.path)
        if failed is not None and time.monotonic() - failed > RETRY_AFTER:
            self.forget(video)
        waiting = self._indexes.get(video.path)
        if waiting is None:
            loop = asyncio.get_running_loop()
            waiting = loop.run_in_executor(self._index_threads, self._try_index, video.path)
            self._indexes[video.path] = waiting
            if len(self._indexes) > KEPT:
                del self._indexes[next(iter(self._indexes))]
        # A caller that is cancelled must not cancel the work of the others.
        outcome = await asyncio.shield(waiting)
        if isinstance(outcome, EngineError):
            if isinstance(outcome, UnreadableVideo):
                self._failures.setdefault(video.path, time.monotonic())
            else:
                self._indexes.pop(video.path, None)
            raise outcome.with_traceback(None)  # one error, raised for each who waits
        return outcome

    async def _index_soon(self, video: LocalVideo) -> Index:
        """Index *video*; refuse before a client gives up, and go on for the next request."""
        try:
            return await asyncio.wait_for(self.index(video), PATIENCE)
        except TimeoutError:
            estimate = getattr(self.engine, "estimate_remaining", None)
            left = None if estimate is None else await self.in_thread(lambda: estimate(video.path))
            when = (
                "" if left is None else f" Indexing takes about {max(1, round(left))} seconds more."
            )
            raise Refusal(
                Reason.WRONG,
                f"The video {video.video_no} is not parsed yet.{when} Ask again later.",
            ) from None

    def index_file(self, path: Path) -> Index:
        """Index the file at *path*, in this thread."""

        def index_video() -> Index:
            index = self.engine.index(path)
            if not math.isfinite(index.facts.duration):
                raise EngineFailed("The engine's duration of the video is not finite.")
            return index

        return _guard(index_video)

    def _try_index(self, path: Path) -> Index | EngineError:
        """Index the file at *path*. An error is a value, of which asyncio tells nobody who did not ask."""
        try:
            return self.index_file(path)
        except EngineError as error:
            return error

    def _embed(self, index: Index) -> tuple[float, ...]:
        def compute_vector() -> tuple[float, ...]:
            vector = tuple(map(float, self.engine.embed(index, self.dimensions)))
            if len(vector) != self.dimensions or not all(map(math.isfinite, vector)):
                raise EngineFailed(f"The engine's vector is not {self.dimensions} finite numbers.")
            return vector

        return _guard(compute_vector)

    def get_known_facts(self, video: LocalVideo) -> Facts | None:
        """Return what is known of *video*, where it was indexed already."""
        waiting = self._indexes.get(video.path)
        if waiting is None or not waiting.done() or waiting.cancelled():
            return None
        outcome = waiting.result()
        return None if isinstance(outcome, EngineError) else outcome.facts

    def forget(self, video: LocalVideo) -> None:
        """Drop what is known of a video that was deleted."""
        self._indexes.pop(video.path, None)
        self._embeddings.pop(video.path, None)
        self._failures.pop(video.path, None)


def _guard(work: Callable[[], T]) -> T:
    """Do *work* of the engine; an error that is no `EngineError` is logged, and raised as one."""
    try:
        return work()
    except EngineError:
        raise
    except OSError as error:
        _log.exception("the engine failed")
        raise EngineFailed(explain_os_error(error)) from error
    except Exception as error:
        _log.exception("the engine failed")
        raise EngineFailed("The engine failed.") from error
