"""The default engine: search, embed and caption by classical computer vision, without weights.

It finds the same footage, the same place, the same textured object; not the same kind of thing.
OpenCV and numpy are imported when an engine is made, not with this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from memories_async.local.engine.protocol import CaptionRequest, CaptionText, Found, Index

if TYPE_CHECKING:
    from memories_async.local.engine.index import PixelIndex

__all__ = ["PixelEngine"]


class PixelEngine:
    """Computes answers from pixels; safe to use from several threads."""

    def __init__(self, cache: Path | None = None, *, time_limit: float = 600.0) -> None:
        """Keep indexes in the folder *cache*, if given; give up a video after *time_limit* s.

        Raises `ModuleNotFoundError`, naming what to install, where OpenCV or numpy is missing.
        """
        from memories_async.local.engine import _pixels  # noqa: PLC0415 # see above

        self.name = "pixels/1"
        self._cache = cache
        self._time_limit = time_limit
        self._work = _pixels

    def index(self, path: Path) -> PixelIndex:
        """Decode and describe the video at *path* in a process of its own, 10-25 x real time.

        Raises `UnreadableVideo`.
        """
        return self._work.index(path, self._cache, engine=self.name, seconds=self._time_limit)

    def search(self, index: Index, image: bytes, prompt: str) -> Found:
        """Find the stretches that look like *image*; 50-150 ms. Raises `UnreadableImage`."""
        return self._work.search(self._work.own(index), image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Describe the whole video by *dimensions* numbers of length 1."""
        return self._work.embed(self._work.own(index).summary, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Tell the measured facts that *request* asks for."""
        return self._work.caption(self._work.own(index), request)
