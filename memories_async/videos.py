"""The v1 video library: what `clips.search` searches in.

A video is uploaded, parsed (minutes, not seconds), and then found by its `video_no`. Source: the
service's "Visual Search" pages (upload, get_metadata, list_videos, delete_videos), which differ
among each other in casing and number types; every spelling is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, field, fields, frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.call import (
    Call,
    Fields,
    Form,
    Json,
    Part,
    Progress,
    check_text,
    check_url,
    estimate_transfer_time,
)
from memories_async._protocol.decode import (
    FAILED,
    READY,
    converter,
    is_empty,
    read_integer,
    split_fields,
)
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_VIDEO_SIZE = 3 * 1024 * media.MB
"""Bytes that the page allows for an upload."""
EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov")
"""What the upload page allows."""
MAX_DELETED = 100
"""Videos that one `delete` may name."""
_RENAMES = {"video_status": "status", "upload_time": "create_time"}


@frozen(kw_only=True, slots=False)
class Video(Value):
    """A video of the library, as far as the service told."""

    video_no: str
    video_name: str | None = None
    status: str | None = None
    """PARSE when it can be searched, UNPARSE before; see `ready` and `failed`."""
    cause: str | None = None
    """Why it failed, if it did."""
    duration: float | None = None
    """Seconds."""
    size: int | None = None
    """Bytes."""
    create_time: int | None = None
    """Milliseconds since 1970."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the pages do not name."""

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""
        return self.status in READY

    @property
    def failed(self) -> bool:
        """Whether it never will be."""
        return self.status in FAILED


@frozen(kw_only=True, slots=False)
class Page(Value):
    """One page of a listing."""

    videos: tuple[Video, ...]
    current_page: int
    page_size: int
    total_count: int | None
    """Videos on all pages, if the service counted them."""

    def after(self, call: Call[Page]) -> Call[Page] | None:
        """Build the call for the page after this one, which answered *call*; None at the end."""
        known = self.total_count
        is_last = len(self.videos) < self.page_size
        if known is not None:
            is_last = self.current_page * self.page_size >= known
        if is_last or not self.videos:
            return None
        assert isinstance(call.body, Json)
        return evolve(call, body=Json({**call.body.plain, "page": self.current_page + 1}))


def upload(
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
    progress: Progress | None = None,
    max_video_size: int | None = MAX_VIDEO_SIZE,
) -> Call[Video]:
    """Upload a video file into the library.

    Billed by the length that is indexed. Every repeat makes another video with another bill. The
    file streams at constant memory; *progress* is told the bytes sent and in all. *video_name*
    defaults to the file's own name, by which `list` finds it again. *callback* is told the status;
    a client whose receiver can be reached fills one in, so that waiting ends with it.
    Raises `ValueError` for another extension than .mp4, .avi, .mkv and .mov, an empty file, or one
    above *max_video_size* bytes.
    """
    name = (
        media.derive_name(file)
        if video_name is None
        else media.check_file_name("video_name", video_name)
    )
    video = media.prepare_video("file", file, max_size=max_video_size, name=name)
    if not video.name.lower().endswith(EXTENSIONS):
        raise ValueError(f"file must be one of {', '.join(EXTENSIONS)}, not {video.name}")
    options = _options(unique_id, callback, tags)
    parts = [Part("file", video), *(Part(name, value) for name, value in options)]
    return Call(
        name="videos.upload",
        host=Host.SEARCH,
        path="/serve/api/v1/upload",
        body=Form(tuple(parts)),
        family="video_upload",
        unit="video",
        repeatable=False,
        welcomes_callback=callback is None,
        progress=progress,
        allowance=estimate_transfer_time(video.size),
        decode=read_video,
    )


def upload_url(
    url: str,
    *,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
) -> Call[Video]:
    """Have the service fetch a public video by URL (mp4 or m3u8, at most 1 GB).

    Billed as `upload`. Sent as form fields, not JSON, as its page stresses.
    """
    return Call(
        name="videos.upload_url",
        host=Host.SEARCH,
        path="/serve/api/v1/upload_url",
        body=Fields((("url", check_url("url", url)), *_options(unique_id, callback, tags))),
        family="video_upload",
        unit="video",
        repeatable=False,
        welcomes_callback=callback is None,
        decode=read_video,
    )


def metadata(video_no: str, *, unique_id: str = "default") -> Call[Video | None]:
    """Ask for one video; free. None for an unknown one, and for a while after its upload."""
    query = (
        ("video_no", check_text("video_no", video_no)),
        ("unique_id", check_text("unique_id", unique_id)),
    )
    return Call(
        name="videos.metadata",
        host=Host.SEARCH,
        method="GET",
        path="/serve/api/v1/get_metadata",
        query=query,
        family="video_metadata",
        unit=None,
        repeatable=True,
        decode=_video_if_any,
    )


def list(  # noqa: A001  # the service's word; callers write videos.list
    *,
    page: int = 1,
    size: int = 200,
    video_name: str | None = None,
    video_no: str | None = None,
    status: str | None = None,
    unique_id: str = "default",
) -> Call[Page]:
    """Ask for one page of the library; free. `client.videos.list` iterates over all pages."""
    if page < 1 or not 1 <= size <= 200:  # noqa: PLR2004  # the page's own limit
        raise ValueError(f"page must be from 1 and size from 1 to 200, not {page} and {size}")
    asked = {"video_name": video_name, "video_no": video_no, "status": status}
    given = {name: value for name, value in asked.items() if value is not None}
    body = {"page": page, "size": size, **given, "unique_id": check_text("unique_id", unique_id)}
    return Call(
        name="videos.list",
        host=Host.SEARCH,
        path="/serve/api/v1/list_videos",
        body=Json(body),
        family="video_list",
        unit=None,
        repeatable=True,
        decode=partial(_page, page=page, size=size),
    )


def delete(video_nos: Iterable[str], *, unique_id: str = "default") -> Call[None]:
    """Delete at most 100 videos; free, final. Unknown ones are no error to the service."""
    if isinstance(video_nos, str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    numbers = tuple(check_text("video_nos", video_no) for video_no in video_nos)
    if not 1 <= len(numbers) <= MAX_DELETED:
        raise ValueError(f"video_nos must be 1 to {MAX_DELETED} ids, not {len(numbers)}")
    return Call(
        name="videos.delete",
        host=Host.SEARCH,
        path="/serve/api/v1/delete_videos",
        query=(("unique_id", check_text("unique_id", unique_id)),),
        body=Json(numbers),
        family="video_delete",
        unit=None,
        repeatable=True,
        decode=ignore_data,
    )


def _options(
    unique_id: str, callback: str | None, tags: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    options = [("unique_id", check_text("unique_id", unique_id))]
    if callback is not None:
        options.append(("callback", check_url("callback", callback)))
    return (*options, *(("tags", check_text("tags", tag)) for tag in tags))


def read_video(data: Any) -> Video:
    """Read one video, whatever the dialect of the reply."""
    found = converter.structure(split_fields(data, _NAMES, _RENAMES), Video)
    if not found.video_no:
        raise ValueError("video_no is empty")
    return found


def _video_if_any(data: Any) -> Video | None:
    return None if is_empty(data) else read_video(data)


def _page(data: Any, *, page: int, size: int) -> Page:
    listed = {} if is_empty(data) else split_fields(data, _PAGE_NAMES, {"records": "videos"})
    videos, counted = listed.get("videos") or _NONE, listed.get("total_count")
    if not wire_json.is_array(videos):
        raise TypeError("data.videos must be a list")
    return Page(
        videos=tuple(read_video(video) for video in videos),
        current_page=read_integer(listed.get("current_page", page)),
        page_size=read_integer(listed.get("page_size", size)),
        total_count=None if counted is None else read_integer(counted),
    )


def ignore_data(_: Any) -> None:
    """Read a reply that has nothing to tell but its success."""


_NONE: Any = []
_NAMES = tuple(attribute.name for attribute in fields(Video))
_PAGE_NAMES = tuple(attribute.name for attribute in fields(Page))
