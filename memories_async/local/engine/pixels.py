"""The default engine: search, embed and caption by classical computer vision, without weights.

It finds the same footage, the same place, the same textured object; not the same kind of thing.
All of it runs in processes of its own: this one imports neither OpenCV nor numpy, no file or
picture can take it down, and its event loop goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from memories_async.local.engine.content_cache import kept
from memories_async.local.engine.processes.one_shot import run_apart
from memories_async.local.engine.processes.pool import ask
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    EngineFailed,
    Facts,
    Index,
    SearchResult,
)

__all__ = ["KeptIndex", "PixelEngine"]

T = TypeVar("T")


@frozen(kw_only=True)
class KeptIndex:
    """An indexed video: its facts, and the file that holds all the rest."""

    facts: Facts
    video: Path
    place: Path


class PixelEngine:
    """Computes answers from pixels; safe to use from several threads."""

    def __init__(self, cache: Path | None = None, *, time_limit: float = 600.0) -> None:
        """Keep indexes in the folder *cache*; give up a video after *time_limit* s.

        Without *cache* they are kept as long as the engine. Raises `ModuleNotFoundError`, naming
        what to install, where OpenCV or numpy is missing.
        """
        for name in ("numpy", "cv2"):
            if find_spec(name) is None:
                raise ModuleNotFoundError(
                    f"the embedded engine needs {name}: pip install 'memories_async[local]'",
                    name=name,
                )
        self.name = "pixels/3"
        # Those who answer may have been started in another folder.
        self._cache = None if cache is None else cache.absolute()
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._under_way: set[subprocess.Popen[bytes]] = set()

    def index(self, path: Path) -> KeptIndex:
        """Decode and describe the video at *path*, 10-25 x real time. Raises `UnreadableVideo`."""
        video = path.absolute()

        def load(place: Path) -> KeptIndex | None:
            facts = ask(Facts, "facts", place) if place.exists() else None
            return None if facts is None else KeptIndex(facts=facts, video=video, place=place)

        def build(place: Path) -> None:
            limit, group = self._time_limit, self._under_way
            run_apart("index", video, place, seconds=limit, under_way=group)

        return kept(video, self._folder(), engine=self.name, load=load, build=build)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Find the stretches that look like *image*; 50-150 ms. Raises `UnreadableImage`."""
        return self._ask(SearchResult, "search", index, image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Describe the whole video by *dimensions* numbers of length 1."""
        return self._ask(tuple[float, ...], "embed", index, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Tell the measured facts that *request* asks for."""
        return self._ask(CaptionText, "caption", index, request)

    def close(self) -> None:
        """End the indexing that is under way, which fails then; the engine can be used again."""
        for child in tuple(self._under_way):
            child.terminate()

    def _ask(self, shape: type[T], question: str, index: Index, *given: object) -> T:
        if not isinstance(index, KeptIndex):
            raise TypeError("this index was made by another engine")
        answer = ask(shape, question, index.place, *given)
        if answer is None:
            # Somebody has emptied the folder; the video may still be there.
            self.index(index.video)
            answer = ask(shape, question, index.place, *given)
        if answer is None:
            raise EngineFailed("the index is gone, and its video has changed")
        return answer

    def _folder(self) -> Path:
        with self._lock:
            if self._cache is None:
                self._cache = Path(tempfile.mkdtemp(prefix="memories-index-"))
                weakref.finalize(self, _remove, self._cache, os.getpid())
            return self._cache


def _remove(folder: Path, owner: int) -> None:
    """Remove *folder*, unless this is a fork of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
