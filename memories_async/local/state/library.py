"""The library: a folder is the seed data, and content decides the ids."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import Factory, define, field, frozen

from memories_async.local.engine.content_cache import hash_content

__all__ = ["ASSET", "VIDEO", "Library", "LocalVideo", "as_sources", "digits_of"]

# The two kinds of ids begin so, and are not interchangeable.
VIDEO, ASSET = "VI", "re_"

EXTENSIONS = frozenset(
    {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
# The ids that the documentation's samples print. They name the first video of the library, so
# that a sample runs as it is printed.
SAMPLE_IDS = frozenset({"VI625239098370850816", "re_657745568997527552"})
_DIGITS = 18


@frozen(kw_only=True)
class LocalVideo:
    """A video of the library and the two ids under which the routes know it."""

    path: Path
    video_no: str
    asset_id: str


@define(eq=False)
class Library:
    """The videos of one service; files are read at the first question, not before."""

    _sources: tuple[Path, ...]
    _lock: threading.Lock = Factory(threading.Lock)
    _videos: tuple[LocalVideo, ...] | None = None
    _by_id: dict[str, LocalVideo] = field(init=False, factory=dict[str, LocalVideo])

    @property
    def ready(self) -> bool:
        """Whether the files were read, so that asking costs nothing."""
        return self._videos is not None

    def videos(self) -> tuple[LocalVideo, ...]:
        """Every video, once each, in the order given; reads all files the first time."""
        with self._lock:
            if self._videos is None:
                self._videos = tuple(self._scan())
            return self._videos

    def find(self, name: str) -> LocalVideo | None:
        """The video whose `video_no` or `asset_id` is *name*."""
        videos = self.videos()
        if name in SAMPLE_IDS and name not in self._by_id:
            return videos[0] if videos else None
        return self._by_id.get(name)

    def named(self, file_name: str) -> LocalVideo | None:
        """The first video whose file is called *file_name*."""
        return next((one for one in self.videos() if one.path.name == file_name), None)

    def _scan(self) -> Iterator[LocalVideo]:
        for path in _files(self._sources):
            video = _identify(path)
            if video.video_no not in self._by_id:
                self._by_id |= {video.video_no: video, video.asset_id: video}
                yield video


def as_sources(
    videos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> tuple[Path, ...]:
    """Read one path or several, and refuse one that is not there."""
    several = [videos] if isinstance(videos, str | os.PathLike) else videos
    paths = tuple(Path(one).resolve() for one in several)
    for path in paths:
        if not (path.is_dir() or path.is_file()):
            raise ValueError(f"videos: {path} is neither a file nor a directory")
    return paths


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for source in sources:
        if source.is_dir():
            inside = sorted(source.iterdir())
            yield from (one for one in inside if one.suffix.lower() in EXTENSIONS and one.is_file())
        else:
            yield source


def _identify(path: Path) -> LocalVideo:
    digest = hash_content(path)
    return LocalVideo(
        path=path,
        video_no=f"{VIDEO}{digits_of(digest)}",
        asset_id=f"{ASSET}{digits_of(digest[16:])}",
    )


def digits_of(hexadecimal: str) -> str:
    """Make the number of an id from the first 64 bits of a hash."""
    return str(int(hexadecimal[:16], 16) % 10**_DIGITS).zfill(_DIGITS)
