"""The shelf: what was uploaded, beside the library that the service was started with.

Uploaded files are kept in a temporary folder for as long as the service runs. Each upload is another
video, whatever its content, as on the real service. All methods run on the event loop.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from attrs import define, field, frozen

from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.state.accounts import Account
from memories_async.local.state.library import ASSET, VIDEO, LocalVideo, digits_of

__all__ = ["DEFAULT", "Parcel", "Shelf", "Status", "Stored"]

Status = Literal["UNPARSE", "PARSE", "FAILED"]
DEFAULT = "default"
"""The `unique_id` of whoever gives none; the asset store has no other."""
Scope = tuple[Account, str]


@frozen(kw_only=True)
class Parcel:
    """A file that came in whole, not yet on the shelf."""

    path: Path
    file_name: str
    size: int
    sha256: str


@define(kw_only=True, eq=False)
class Stored:
    """A video or asset as the service knows it."""

    id: str
    """Its `video_no` or `asset_id`."""
    video: LocalVideo
    name: str
    size: int
    created: int
    """Milliseconds since 1970."""
    status: Status = "UNPARSE"
    cause: str | None = None
    duration: float | None = None
    """Seconds, once they are known."""


@define(eq=False)
class Shelf:
    """Finds uploads in their account and `unique_id`, and the library in every one."""

    workshop: Workshop
    _folder: Path | None = field(init=False, default=None)
    _drafts: Iterator[int] = field(init=False, factory=itertools.count)
    _count: int = field(init=False, default=0)
    _stored: dict[str, tuple[Scope, Stored]] = field(
        init=False, factory=dict[str, tuple[Scope, Stored]]
    )
    _deleted: set[tuple[Account, str]] = field(init=False, factory=set[tuple[Account, str]])

    def draft(self) -> Path:
        """Name a new file in which an upload can be taken down."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="memories-uploads-"))
        return self._folder / f"draft-{next(self._drafts)}"

    def put(self, parcel: Parcel, *, kind: str, account: Account, unique_id: str) -> Stored:
        """Keep *parcel* as another video or asset: its id comes from its content and its turn."""
        self._count += 1
        turn = hashlib.sha256(f"{parcel.sha256}/{self._count}".encode()).hexdigest()
        number = f"{kind}{digits_of(turn)}"
        path = self.draft().with_name(f"{number}{Path(parcel.file_name).suffix.lower()}")
        parcel.path.rename(path)
        stored = Stored(
            id=number,
            video=LocalVideo(path=path, video_no=number, asset_id=number),
            name=parcel.file_name,
            size=parcel.size,
            created=time.time_ns() // 1_000_000,
        )
        self._stored[number] = ((account, unique_id), stored)
        return stored

    async def find(self, name: str, *, account: Account, unique_id: str) -> Stored | None:
        """What *name* means to this caller: an upload in its scope, or the library's own."""
        if name in self._stored:
            scope, stored = self._stored[name]
            return stored if scope == (account, unique_id) else None
        video = await self.workshop.find(name)
        if video is None or (account, name) in self._deleted:
            return None
        return self._of_library(video, VIDEO if name.startswith(VIDEO) else ASSET)

    async def videos(self, *, account: Account, unique_id: str) -> tuple[Stored, ...]:
        """Every video that this caller sees, newest uploads first, then the library."""
        library = await self.workshop.in_thread(self.workshop.library.videos)
        ours = [one for scope, one in self._stored.values() if scope == (account, unique_id)]
        uploads = [one for one in reversed(ours) if one.id.startswith(VIDEO)]
        of_library = [
            self._of_library(one, VIDEO)
            for one in library
            if (account, one.video_no) not in self._deleted
        ]
        return (*uploads, *of_library)

    def __contains__(self, stored: Stored) -> bool:
        return stored.id in self._stored

    def __iter__(self) -> Iterator[Stored]:
        """Give every upload that is kept, oldest first."""
        return (stored for _, stored in self._stored.values())

    def remove(self, stored: Stored, *, account: Account) -> None:
        """Forget an upload and its file; a file of the library is only hidden from *account*."""
        if stored not in self:
            self._deleted.add((account, stored.id))
            return
        del self._stored[stored.id]
        self.workshop.forget(stored.video)
        stored.video.path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every upload and every deletion."""
        for stored in self:
            self.workshop.forget(stored.video)
        self._stored.clear()
        self._deleted.clear()
        self._count = 0
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _of_library(self, video: LocalVideo, kind: str) -> Stored:
        facts = video.path.stat()
        return Stored(
            id=video.video_no if kind == VIDEO else video.asset_id,
            video=video,
            name=video.path.name,
            size=facts.st_size,
            created=facts.st_mtime_ns // 1_000_000,
            status="PARSE",
            duration=self.workshop.known_duration(video),
        )
