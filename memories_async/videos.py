"""The video library of API v1, which `clips.search` searches.

A video is uploaded, then parsed by the service, which takes minutes, and can then be searched by its
`video_no`. memories.ai docs, section "Visual Search" (upload, get_metadata, list_videos and
delete_videos). The pages differ in casing and in number types; every form is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from attrs import evolve, field, fields, frozen

from memories_async import media
from memories_async._protocol import decode, wire_json
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
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_VIDEO_SIZE = 3 * 1024 * media.MB
"""Bytes allowed for an upload."""
EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov")
"""Extensions allowed for an upload."""
MAX_DELETED = 100
"""Videos that one `delete` may list."""
_RENAMES = {"video_status": "status", "upload_time": "create_time"}


@frozen(kw_only=True, slots=False)
class Video(Value):
    """A video of the library. A field that the service did not send is None."""

    video_no: str
    video_name: str | None = None
    status: str | None = None
    """PARSE once it can be searched, UNPARSE before; see `ready` and `failed`."""
    cause: str | None = None
    """Why processing failed, if it did."""
    duration: float | None = None
    """Seconds."""
    size: int | None = None
    """Bytes."""
    create_time: int | None = None
    """Milliseconds since 1970."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the documentation does not describe."""

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""
        return self.status in decode.READY

    @property
    def failed(self) -> bool:
        """Whether processing failed, so that it never can be searched."""
        return self.status in decode.FAILED


@frozen(kw_only=True, slots=False)
class Page(Value):
    """One page of a listing."""

    videos: tuple[Video, ...]
    current_page: int
    page_size: int
    total_count: int | None
    """Videos on all pages, or None if the service did not count them."""

    def after(self, call: Call[Page]) -> Call[Page] | None:
        """Return the call for the next page, given the *call* for this one; None on the last page."""
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

    The answer is a `Video` with its `video_no`, in status UNPARSE; see `videos.wait`. A success is
    billed by the length of the video. A repeat is not safe: it adds another video, which is billed
    again. After an `OutcomeUnknown`, `videos.reconcile` finds out whether the upload arrived.

    *file* is a path, bytes or a file open for bytes: .mp4, .avi, .mkv or .mov, at most
    *max_video_size* bytes (None removes the limit). It is streamed at constant memory; *progress* is
    called with the bytes sent and the bytes in all. *video_name* defaults to the name of the file.
    *unique_id* is a scope within the account. *callback* is a URL that the service posts the status
    to; a client with a reachable receiver fills one in. *tags* are labels.

    Building the call raises `ValueError` or `TypeError` for a file or a text that the service would
    refuse. Sending it raises `MemoriesError`. See memories.ai docs, section "Visual Search".
    """
    name = (
        media.derive_name(file)
        if video_name is None
        else media.check_file_name("video_name", video_name)
    )
    video = media.prepare_video("file", file, max_size=max_video_size, name=name)
    if not video.name.lower().endswith(EXTENSIONS):
        raise ValueError(f"file must be one of {', '.join(EXTENSIONS)}, not {video.name}")
    options = _build_options(unique_id, callback, tags)
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
    """Have the service fetch a public video by *url* into the library (mp4 or m3u8, at most 1 GB).

    The answer is a `Video` with its `video_no`, in status UNPARSE; see `videos.wait`. A success is
    billed by the length of the video. A repeat is not safe: it adds another video, which is billed
    again.

    *unique_id* is a scope within the account. *callback* is a URL that the service posts the status
    to; a client with a reachable receiver fills one in. *tags* are labels.

    Building the call raises `ValueError` or `TypeError` for a URL that is not http or https, sending
    it `MemoriesError`. See memories.ai docs, section "Visual Search".
    """
    return Call(
        name="videos.upload_url",
        host=Host.SEARCH,
        path="/serve/api/v1/upload_url",
        body=Fields((("url", check_url("url", url)), *_build_options(unique_id, callback, tags))),
        family="video_upload",
        unit="video",
        repeatable=False,
        welcomes_callback=callback is None,
        decode=read_video,
    )


def metadata(video_no: str, *, unique_id: str = "default") -> Call[Video | None]:
    """Get one video by its *video_no*. Free, and safe to repeat.

    The answer is a `Video`, or None if the service does not know the video, which also happens for a
    while after its upload. *unique_id* is the scope within the account that it was uploaded to.
    Building the call raises `ValueError` or `TypeError` for an empty text, sending it `MemoriesError`.
    See memories.ai docs, section "Visual Search".
    """
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
        decode=_read_optional_video,
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
    """Get one page of the library. Free, and safe to repeat.

    The answer is a `Page` with at most *size* videos (1 to 200), starting from *page* 1;
    `client.videos.list` iterates over the videos of all pages. *video_name*, *video_no* and *status*
    (PARSE, UNPARSE or FAILED) filter the list. *unique_id* is the scope within the account. Building
    the call raises `ValueError` for a page or size out of range, sending it `MemoriesError`. See
    memories.ai docs, section "Visual Search".
    """
    if page < 1 or not 1 <= size <= 200:  # noqa: PLR2004  # the page's own limit
        raise ValueError(f"page must be from 1 and size from 1 to 200, not {page} and {size}")
    filters = {"video_name": video_name, "video_no": video_no, "status": status}
    given = {name: value for name, value in filters.items() if value is not None}
    body = {"page": page, "size": size, **given, "unique_id": check_text("unique_id", unique_id)}
    return Call(
        name="videos.list",
        host=Host.SEARCH,
        path="/serve/api/v1/list_videos",
        body=Json(body),
        family="video_list",
        unit=None,
        repeatable=True,
        decode=partial(_read_page, page=page, size=size),
    )


def delete(video_nos: Iterable[str], *, unique_id: str = "default") -> Call[None]:
    """Delete 1 to 100 videos for good. Free, and safe to repeat.

    The service accepts unknown ids; `Conflict` means that a video was deleted before.
    `client.videos.delete` takes any number of ids and ignores that conflict. *unique_id* is the scope
    within the account. Building the call raises `ValueError` or `TypeError` for no ids or too many,
    sending it `MemoriesError`. See memories.ai docs, section "Visual Search".
    """
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


def _build_options(
    unique_id: str, callback: str | None, tags: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    options = [("unique_id", check_text("unique_id", unique_id))]
    if callback is not None:
        options.append(("callback", check_url("callback", callback)))
    return (*options, *(("tags", check_text("tags", tag)) for tag in tags))


def read_video(data: Any) -> Video:
    """Read one video in any of the forms that the service writes."""
    video = decode.converter.structure(decode.split_fields(data, _NAMES, _RENAMES), Video)
    if not video.video_no:
        raise ValueError("video_no is empty")
    return video


def _read_optional_video(data: Any) -> Video | None:
    return None if decode.is_empty(data) else read_video(data)


def _read_page(data: Any, *, page: int, size: int) -> Page:
    listed = decode.split_fields(data or {}, _PAGE_NAMES, {"records": "videos"})
    videos, total = listed.get("videos") or _NONE, listed.get("total_count")
    if not wire_json.is_array(videos):
        raise TypeError("data.videos must be a list")
    return Page(
        videos=tuple(read_video(video) for video in videos),
        current_page=decode.read_integer(listed.get("current_page", page)),
        page_size=decode.read_integer(listed.get("page_size", size)),
        total_count=None if total is None else decode.read_integer(total),
    )


def ignore_data(_: Any) -> None:
    """Return None: the reply has no data beside its success."""


_NONE: Any = []
_NAMES = tuple(attribute.name for attribute in fields(Video))
_PAGE_NAMES = tuple(attribute.name for attribute in fields(Page))
