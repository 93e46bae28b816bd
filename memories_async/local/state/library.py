"""The library: the videos that a service is given, with ids made from their content."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import Factory, define, field, frozen

from memories_async.local.engine.content_cache import hash_content

__all__ = ["ASSET", "VIDEO", "Library", "LocalVideo", "build_id_digits", "resolve_sources"]

VIDEO, ASSET = "VI", "re_"
"""Prefixes of a `video_no` and an `asset_id`; a route takes one kind only."""

EXTENSIONS = frozenset(
    {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
# The ids in the documentation's samples. They name the first video of the library, so that a sample
# runs as it is printed.
SAMPLE_IDS = frozenset({"VI625239098370850816", "re_657745568997527552"})
_DIGITS = 18


@frozen(kw_only=True)
class LocalVideo:
    """A video file and its two ids."""

    path: Path
    video_no: str
    asset_id: str


@define(eq=False)
class Library:
    """The videos of one service. The files are read when they are first needed. Thread-safe."""

    _sources: tuple[Path, ...]
    _lock: threading.Lock = Factory(threading.Lock)
    _videos: tuple[LocalVideo, ...] | None = None
    _by_id: dict[str, LocalVideo] = field(init=False, factory=dict[str, LocalVideo])

    @property
    def is_read(self) -> bool:
        """Whether the files were read, so that a look-up does not block."""
        return self._videos is not None

    def videos(self) -> tuple[LocalVideo, ...]:
        """List every video once, in the order given; the first call reads all files."""
        with self._lock:
            if self._videos is None:
                self._videos = tuple(self._scan())
            return self._videos

    def find(self, name: str) -> LocalVideo | None:
        """Find a video by its `video_no` or `asset_id`."""
        videos = self.videos()
        if name in SAMPLE_IDS and name not in self._by_id:
            return videos[0] if videos else None
        return self._by_id.get(name)

    def find_file(self, file_name: str) -> LocalVideo | None:
        """Find the first video whose file is called *file_name*."""
        return next((one for one in self.videos() if one.path.name == file_name), None)

    def _scan(self) -> Iterator[LocalVideo]:
        for path in _list_files(self._sources):
            digest = hash_content(path)
            video = LocalVideo(
                path=path,
                video_no=f"{VIDEO}{build_id_digits(digest)}",
                asset_id=f"{ASSET}{build_id_digits(digest[16:])}",
            )
            if video.video_no not in self._by_id:
                self._by_id |= {video.video_no: video, video.asset_id: video}
                yield video


def resolve_sources(
    videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> tuple[Path, ...]:
    """Resolve one path or several; raise `ValueError` for one that does not exist."""
    several = [videos] if isinstance(videos, str | os.PathLike) else videos
    paths = tuple(Path(one).resolve() for one in several)
    for path in paths:
        if not (path.is_dir() or path.is_file()):
            raise ValueError(f"videos: {path} is neither a file nor a directory")
    return paths


def _list_files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            inside = sorted(source.iterdir())
            yield from (one for one in inside if one.suffix.lower() in EXTENSIONS and one.is_file())
        else:
            yield source


def build_id_digits(hexadecimal: str) -> str:
    """Build the 18 digits of an id from the first 64 bits of a hexadecimal hash."""
    return str(int(hexadecimal[:16], 16) % 10**_DIGITS).zfill(_DIGITS)
