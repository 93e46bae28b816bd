"""The default engine: search, embed and caption by classical computer vision, without a model.

It finds the same footage, the same place, the same textured object; not the same kind of thing. All
of it runs in child processes: this one imports neither OpenCV nor numpy, no file or picture can
crash it, and its event loop is not delayed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from attrs import evolve, frozen

from memories_async.local.engine.content_cache import PROGRESS, load_or_build
from memories_async.local.engine.processes.one_shot import run_in_child
from memories_async.local.engine.processes.pool import ask
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    EngineFailed,
    Facts,
    Index,
    ReferencePerson,
    SearchResult,
)

__all__ = ["CachedIndex", "PixelEngine"]

T = TypeVar("T")

# Named, not imported: they need OpenCV.
_INDEX = "memories_async.local.engine.vision.indexing:write_index"
_ANSWER = "memories_async.local.engine._pixel_answers:answer"
_FACES = "memories_async.local.engine.models.faces:write_faces"
_PERSONS = "memories_async.local.engine.models.faces:describe_persons"
_VERSION = "pixels/7"
_LOOKS = 600
"""Frames in which faces are looked for: one a second, fewer in films of more than ten minutes."""


@frozen(kw_only=True)
class CachedIndex:
    """An indexed video: its facts, and the file that holds the rest."""

    facts: Facts
    video: Path
    path: Path
    faces: Path | None = None
    """The file with the faces that were seen, where those were asked for."""


class PixelEngine:
    """Computes answers from pixels; safe to use from several threads."""

    def __init__(
        self, cache: Path | None = None, *, time_limit: float = 3600.0, faces: bool = False
    ) -> None:
        """Cache indexes in the folder *cache*; give up indexing a video after *time_limit* s.

        Without *cache*, or where nothing can be written to it, they are kept as long as the engine.
        With *faces*, captions compare the faces seen with the pictures of the persons asked for.
        Raises `ModuleNotFoundError`, naming
        what to install, where numpy, OpenCV or PyAV is missing.
        """
        needed = {"numpy": "local", "cv2": "local", "av": "local"}
        if faces:
            needed |= {"dlib": "faces", "face_recognition_models": "faces"}
        for name, extra in needed.items():
            if find_spec(name) is None:
                hint = "; dlib-bin has no wheel for every platform" if name == "dlib" else ""
                raise ModuleNotFoundError(
                    f"the embedded engine needs {name}: pip install 'memories_async[{extra}]'{hint}",
                    name=name,
                )
        self.name = _VERSION + ("+faces" if faces else "")
        self._has_faces = faces
        # The child processes may have been started in another folder.
        self._cache = None if cache is None else cache.absolute()
        self._own_folder: Path | None = None
        self._time_limit = time_limit
        self._builds: dict[Path, tuple[float, Path]] = {}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def index(self, path: Path) -> CachedIndex:
        """Decode and describe the video at *path*, 10-25 x real time. Raises `UnreadableVideo`."""
        video = path.absolute()

        def load(place: Path) -> CachedIndex | None:
            facts = ask(Facts, _ANSWER, "facts", place) if place.exists() else None
            return None if facts is None else CachedIndex(facts=facts, video=video, path=place)

        def build(place: Path) -> None:
            limit, running = self._time_limit, self._running
            progress = Path(f"{place}{PROGRESS}")
            self._builds[video] = time.monotonic(), progress
            source = str(video.resolve())
            try:
                run_in_child(_INDEX, source, str(place), seconds=limit, running=running)
            finally:
                del self._builds[video]
                progress.unlink(missing_ok=True)

        index = load_or_build(
            video,
            self._cache,
            engine=_VERSION,
            load=load,
            build=build,
            spare=self._make_folder,
        )
        if not self._has_faces:
            return index
        return evolve(index, faces=self._index_faces(video, index.facts.duration))

    def estimate_remaining(self, path: Path) -> float | None:
        """Estimate the seconds until the indexing of *path* ends, from how far it has come.

        None where it is not under way, has just begun, or the file does not say how long it lasts.
        """
        start, progress = self._builds.get(path.absolute(), (0.0, None))
        if progress is None:
            return None
        try:
            share = float(progress.read_text())
        except (OSError, ValueError):
            return None
        return (time.monotonic() - start) * (1 - share) / share if share else None

    def _index_faces(self, video: Path, duration: float) -> Path:
        def build(place: Path) -> None:
            rate = min(1.0, _LOOKS / max(duration, 1.0))
            limit, running = self._time_limit, self._running
            source, result = str(video.resolve()), str(place)
            run_in_child(_FACES, source, result, repr(rate), seconds=limit, running=running)

        return load_or_build(
            video,
            self._cache,
            engine="faces/1",
            load=lambda place: place if place.exists() else None,
            build=build,
            spare=self._make_folder,
        )

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Find the clips that look like *image*; 50-150 ms. Raises `UnreadableImage`."""
        return self._ask(SearchResult, "search", index, image, prompt)

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Describe the whole video by *dimensions* numbers of length 1."""
        return self._ask(tuple[float, ...], "embed", index, dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Write the measured facts that *request* asks for; with faces, raises `UnreadableImage`."""
        persons: str | None = None
        if isinstance(index, CachedIndex) and index.faces is not None and request.persons:
            persons = self._describe_persons(index, index.faces, request.persons)
        return self._ask(CaptionText, "caption", index, request, persons)

    def _describe_persons(
        self, index: CachedIndex, faces: Path, persons: tuple[ReferencePerson, ...]
    ) -> str:
        for _ in range(2):
            found = ask(str, _PERSONS, faces, persons)
            if found is not None:
                return found
            # The file is damaged, or somebody has emptied the folder.
            faces.unlink(missing_ok=True)
            self.index(index.video)
        raise EngineFailed("the faces are gone, and their video has changed")

    def close(self) -> None:
        """End the indexing that is under way, which fails then; the engine can be used again."""
        for child in tuple(self._running):
            child.terminate()

    def _ask(self, shape: type[T], question: str, index: Index, *arguments: object) -> T:
        if not isinstance(index, CachedIndex):
            raise TypeError("this index was made by another engine")
        answer = ask(shape, _ANSWER, question, index.path, *arguments)
        if answer is None:
            # Somebody has emptied the folder; the video may still be there.
            self.index(index.video)
            answer = ask(shape, _ANSWER, question, index.path, *arguments)
        if answer is None:
            raise EngineFailed("the index is gone, and its video has changed")
        return answer

    def _make_folder(self) -> Path:
        """Make the folder, or find it, that lasts as long as the engine."""
        with self._lock:
            if self._own_folder is None:
                self._own_folder = Path(tempfile.mkdtemp(prefix="memories-index-"))
                weakref.finalize(self, _remove, self._own_folder, os.getpid())
            return self._own_folder


def _remove(folder: Path, owner: int) -> None:
    """Remove *folder*, unless this is a fork of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
