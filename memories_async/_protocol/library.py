"""The videos of the library as values, read in any of the forms that the service writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, fields, frozen

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


def read_video(data: Any) -> Video:
    """Read one video in any of the forms that the service writes."""
    video = decode.converter.structure(decode.split_fields(data, _NAMES, _RENAMES), Video)
    if not video.video_no:
        raise ValueError("video_no is empty")
    return video


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
_PAGE_NAMES = tuple(attribute.name for attribute in fields(Page))
