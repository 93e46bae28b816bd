"""The videos of the library as values, read in any of the forms that the service writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, get_type_hints

from attrs import evolve, field, fields, frozen
from cattrs import BaseValidationError

from memories_async._protocol import decode, wire_json
from memories_async._protocol.call import Call, Json
from memories_async._protocol.value import Value

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
    datetime_taken: int | None = None
    """When it was taken, in milliseconds since 1970; this and the next four as the upload said."""
    camera_model: str | None = None
    latitude: float | None = None
    """Degrees."""
    longitude: float | None = None
    """Degrees."""
    tags: tuple[str, ...] | None = None
    """Its labels; the service adds `api` to those of the upload."""
    width: int | None = None
    """Pixels; this and the next three are in the answer to `videos.details` and newer ones."""
    height: int | None = None
    """Pixels."""
    fps: float | None = None
    """Pictures a second."""
    resolution_label: str | None = None
    """Such as 720P."""
    video_url: str | None = None
    """Where the service shows it."""
    bucket: str | None = None
    """Where the service stores it; see `videos.download_blob`."""
    blob: str | None = None
    """Its name in *bucket*."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the documentation does not describe, and those of its details that cannot be read."""

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


class ListFilters(TypedDict, total=False):
    """Which videos a list has; all of it is optional, and None filters nothing."""

    video_name: str | None
    video_no: str | None
    status: str | None
    """PARSE, UNPARSE or FAILED."""
    video_nos: Iterable[str] | None
    tag: str | None
    folder_id: int | None
    camera_model: str | None
    datetime_taken: datetime | int | None
    """Milliseconds since 1970, or a `datetime` with a time zone."""
    latitude: float | None
    longitude: float | None


FILTER_NAMES = tuple(ListFilters.__annotations__)


def build_filters(filters: ListFilters) -> dict[str, Any]:
    """Check the filters of a list, and return those that are given as the service's fields."""
    if unknown := sorted(filters.keys() - ListFilters.__annotations__.keys()):
        known = ", ".join(FILTER_NAMES)
        raise TypeError(f"{unknown[0]} is no filter of a list: {known}; other fields go into extra")
    if isinstance(filters.get("video_nos"), str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    given: dict[str, Any] = {name: one for name, one in filters.items() if one is not None}
    if "video_nos" in given:
        given["video_nos"] = [*given["video_nos"]]
    moment = given.get("datetime_taken")
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("datetime_taken must have a time zone, or be milliseconds since 1970")
        given["datetime_taken"] = round(moment.timestamp() * 1000)
    return given


def read_video(data: Any) -> Video:
    """Read one video in any of the forms that the service writes."""
    known = decode.split_fields(data, _NAMES, _RENAMES)
    for name in _DETAILS & known.keys():
        # What a video is like besides must not make the video unreadable.
        if not _is_readable(name, known[name]):
            known["extra"][name] = known.pop(name)
    video = decode.converter.structure(known, Video)
    if not video.video_no:
        raise ValueError("video_no is empty")
    return video


def _is_readable(name: str, detail: Any) -> bool:
    if name == "tags" and isinstance(detail, str):
        return False  # cattrs would take each letter for one
    try:
        decode.converter.structure(detail, _TYPES[name])
    except (BaseValidationError, TypeError, ValueError):
        return False
    return True


def read_optional_video(data: Any) -> Video | None:
    return None if decode.is_empty(data) else read_video(data)


def read_page(data: Any, *, page: int, size: int) -> Page:
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


_NONE: Any = []
_NAMES = tuple(attribute.name for attribute in fields(Video))
_TYPES = get_type_hints(Video)
_DETAILS = frozenset(_NAMES[_NAMES.index("datetime_taken") : _NAMES.index("extra")])
_PAGE_NAMES = tuple(attribute.name for attribute in fields(Page))
