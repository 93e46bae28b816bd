"""Upload store: what was uploaded, beside the library that the service was given.

Uploaded files are kept in a temporary folder while the service runs. Each upload is another video,
whatever its content, as on the real service. All methods run on the event loop.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

from attrs import define, field, frozen

from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RouteAnswer
from memories_async.local.state.accounts import Account
from memories_async.local.state.library import VIDEO, LocalVideo, build_id_digits
from memories_async.local.state.wire import Dialect

__all__ = [
    "DEFAULT",
    "DEFAULT_FOLDER",
    "ReceivedFile",
    "Status",
    "StoredUpload",
    "UploadStore",
    "build_file_answer",
]

Status = Literal["WAITING", "UNPARSE", "PARSE", "FAILED"]
"""WAITING: an asset that has an id, and no file yet."""
DEFAULT = "default"
"""The `unique_id` of a request that gives none; assets have no other."""
DEFAULT_FOLDER = -1
"""The `folder_id` of an upload that gives none, and of the library."""
Scope = tuple[Account, str]


@frozen(kw_only=True)
class ReceivedFile:
    """A file that was received completely, and is not stored yet."""

    path: Path
    file_name: str
    size: int
    sha256: str


@define(kw_only=True, eq=False)
class StoredUpload:
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
    """Seconds, once known."""
    tags: tuple[str, ...] = ()
    folder_id: int = DEFAULT_FOLDER
    told: Mapping[str, Any] = field(factory=dict[str, Any])
    """What the upload said of it, such as `camera_model`, as the service shows it."""

    def get_name(self, dialect: Dialect) -> str:
        """Return the name as *dialect* shows it."""
        return PurePath(self.name).stem if dialect.stem_names else self.name


@define(eq=False)
class UploadStore:
    """Uploads by account and `unique_id`, and the library, which is in every one of them."""

    engine_pool: EnginePool
    _folder: Path | None = field(init=False, default=None)
    _drafts: Iterator[int] = field(init=False, factory=itertools.count)
    _count: int = field(init=False, default=0)
    _stored: dict[str, tuple[Scope, StoredUpload]] = field(
        init=False, factory=dict[str, tuple[Scope, StoredUpload]]
    )
    _deleted: set[tuple[Account, str]] = field(init=False, factory=set[tuple[Account, str]])

    def create_draft(self) -> Path:
        """Name a new file to receive an upload in."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="memories-uploads-"))
        return self._folder / f"draft-{next(self._drafts)}"

    def add(
        self,
        received: ReceivedFile,
        *,
        kind: str,
        account: Account,
        unique_id: str,
        tags: tuple[str, ...] = (),
        folder_id: int = DEFAULT_FOLDER,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> StoredUpload:
        """Store *received* as a new video or asset; its id is made from its content and its number."""
        stored = self._create(received.sha256, received.file_name, kind, (account, unique_id))
        stored.tags, stored.folder_id, stored.told = tags, folder_id, told
        self.fill(stored, received)
        return stored

    def reserve(self, file_name: str, *, kind: str, account: Account) -> StoredUpload:
        """Store an asset without a file, which `fill` brings."""
        return self._create(file_name, file_name, kind, (account, DEFAULT))

    def fill(self, stored: StoredUpload, received: ReceivedFile) -> None:
        """Give *stored* the file *received*; an earlier one is replaced."""
        received.path.rename(stored.video.path)
        stored.size, stored.status = received.size, "UNPARSE"

    def _create(self, content: str, file_name: str, kind: str, scope: Scope) -> StoredUpload:
        self._count += 1
        digest = hashlib.sha256(f"{content}/{self._count}".encode()).hexdigest()
        number = f"{kind}{build_id_digits(digest)}"
        path = self.create_draft().with_name(f"{number}{Path(file_name).suffix.lower()}")
        stored = StoredUpload(
            id=number,
            video=LocalVideo(path=path, video_no=number, asset_id=number),
            name=file_name,
            size=0,
            created=time.time_ns() // 1_000_000,
            status="WAITING",
        )
        self._stored[number] = (scope, stored)
        return stored

    async def find(
        self, name: str, *, kind: str, account: Account, unique_id: str | None = DEFAULT
    ) -> StoredUpload | None:
        """Find a video or asset (*kind* is its prefix) that a caller sees, by its id.

        Uploads are visible in their account and *unique_id* only (None: in any); the library is in
        every one.
        """
        if not name.startswith(kind):
            return None
        if name in self._stored:
            scope, stored = self._stored[name]
            return (
                stored if scope == (account, scope[1] if unique_id is None else unique_id) else None
            )
        video = await self.engine_pool.find(name)
        if video is None or (account, name) in self._deleted:
            return None
        return self._describe_library(video, kind)

    async def list_videos(self, *, account: Account, unique_id: str) -> tuple[StoredUpload, ...]:
        """List every video in the scope of a caller: the newest uploads first, then the library."""
        library = await self.engine_pool.in_thread(self.engine_pool.library.videos)
        ours = [one for scope, one in self._stored.values() if scope == (account, unique_id)]
        uploads = [one for one in reversed(ours) if one.id.startswith(VIDEO)]
        of_library = [
            self._describe_library(one, VIDEO)
            for one in library
            if (account, one.video_no) not in self._deleted
        ]
        return (*uploads, *of_library)

    def __contains__(self, stored: StoredUpload) -> bool:
        return stored.id in self._stored

    def __iter__(self) -> Iterator[StoredUpload]:
        """Iterate over the uploads, oldest first."""
        return (stored for _, stored in self._stored.values())

    def remove(self, stored: StoredUpload, *, account: Account) -> None:
        """Delete an upload and its file; a video of the library is hidden from *account*."""
        if stored not in self:
            self._deleted.add((account, stored.id))
            return
        del self._stored[stored.id]
        self.engine_pool.forget(stored.video)
        stored.video.path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete every upload, and undo the deletions of the library."""
        for stored in self:
            self.engine_pool.forget(stored.video)
        self._stored.clear()
        self._deleted.clear()
        self._count = 0
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _describe_library(self, video: LocalVideo, kind: str) -> StoredUpload:
        facts, known = video.path.stat(), self.engine_pool.get_known_facts(video)
        return StoredUpload(
            id=video.video_no if kind == VIDEO else video.asset_id,
            video=video,
            name=video.path.name,
            size=facts.st_size,
            created=facts.st_mtime_ns // 1_000_000,
            status="PARSE",
            duration=None if known is None else known.duration,
        )


def build_file_answer(stored: StoredUpload) -> RouteAnswer:
    """Answer with the file of *stored*, under the name that it was uploaded with."""
    disposition = f"attachment; filename*=UTF-8''{quote(stored.name)}"
    headers = {"Content-Disposition": disposition}
    return RouteAnswer(content=None, file=stored.video.path, item=stored.id, headers=headers)
