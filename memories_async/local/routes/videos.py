"""`get_metadata`, `get_private_video_details`, `list_videos` and `delete_videos`: all are free."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import DEFAULT, StoredUpload, UploadStore
from memories_async.local.state.forms import (
    DETAILS,
    get_required,
    read_details,
    read_folder_id,
    read_json,
    read_strings,
    read_text,
)
from memories_async.local.state.library import VIDEO
from memories_async.local.state.wire import Dialect, Reason, Refusal, RouteHost

__all__ = ["DeleteVideos", "ListVideos", "VideoDetails", "VideoMetadata"]

MOST_LISTED = 200
"""Largest size of a page, and the size where none is given, as in recorded answers."""
MOST_DELETED = 100
_LIST_FIELDS = (
    "page",
    "size",
    "unique_id",
    "video_name",
    "video_no",
    "video_nos",
    "status",
    "tag",
    "folder_id",
    *DETAILS,
)
_V1 = "/serve/api/v1"
_Filter = Callable[[StoredUpload], bool]


@frozen(kw_only=True)
class VideoMetadata:
    """Describes one video; `data` is null for an unknown one."""

    upload_store: UploadStore
    name: str = "videos.metadata"
    family: str = "video_metadata"
    method: str = "GET"
    path: str = f"{_V1}/get_metadata"
    is_free: bool = True
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> str:
        """Check the query."""
        return get_required(context.request.query, "video_no")

    async def work(self, order: str, context: RequestContext) -> RouteAnswer:
        """Find the video in any `unique_id` of the account."""
        found = await self.upload_store.find(
            order, kind=VIDEO, account=context.account, unique_id=None
        )
        content = None if found is None else _format_video(found, context.dialect)
        return RouteAnswer(content=content, item=order)


@frozen(kw_only=True)
class VideoDetails(VideoMetadata):
    """Describes one video with the size and rate of its pictures, once it was decoded."""

    name: str = "videos.details"
    path: str = f"{_V1}/get_private_video_details"

    async def work(self, order: str, context: RequestContext) -> RouteAnswer:
        """Find the video, and what is known of its pictures."""
        store = self.upload_store
        found = await store.find(order, kind=VIDEO, account=context.account, unique_id=None)
        if found is None:
            return RouteAnswer(content=None, item=order)
        content = _format_video(found, context.dialect)
        facts = store.engine_pool.get_known_facts(found.video)
        if facts is not None:
            known = {"fps": facts.fps, "width": facts.width, "height": facts.height}
            content |= {**known, "resolution_label": f"{min(facts.width, facts.height)}P"}
        return RouteAnswer(content=content, item=order)


@frozen(kw_only=True)
class ListQuery:
    """A request for a list that was checked."""

    page: int
    size: int
    unique_id: str
    filters: tuple[_Filter, ...]


@frozen(kw_only=True)
class ListVideos:
    """Lists one page of the videos of a `unique_id`, newest first."""

    upload_store: UploadStore
    name: str = "videos.list"
    family: str = "video_list"
    method: str = "POST"
    path: str = f"{_V1}/list_videos"
    is_free: bool = True
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> ListQuery:
        """Check page, size and filters."""
        fields = await read_json(context.request)
        context.ignore_fields(fields, _LIST_FIELDS)
        return ListQuery(
            page=_read_number(fields, "page", 1, 2**31),
            size=_read_number(fields, "size", MOST_LISTED, MOST_LISTED),
            unique_id=read_text(fields, "unique_id") or DEFAULT,
            filters=_read_filters(fields, context.dialect),
        )

    async def work(self, order: ListQuery, context: RequestContext) -> RouteAnswer:
        """Select the page."""
        videos = await self.upload_store.list_videos(
            account=context.account, unique_id=order.unique_id
        )
        matching = [one for one in videos if all(is_match(one) for is_match in order.filters)]
        start = (order.page - 1) * order.size
        page = matching[start : start + order.size]
        content = {
            "videos": [_format_video(one, context.dialect) for one in page],
            "current_page": order.page,
            "page_size": order.size,
            "total_count": len(matching),
        }
        return RouteAnswer(content=_rename_fields(content, context.dialect), item="")


@frozen(kw_only=True)
class DeleteVideos:
    """Deletes videos. Unknown ones, and those of another `unique_id`, are ignored."""

    upload_store: UploadStore
    name: str = "videos.delete"
    family: str = "video_delete"
    method: str = "POST"
    path: str = f"{_V1}/delete_videos"
    is_free: bool = True
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> list[str]:
        """Read the array of numbers."""
        numbers = await read_strings(context.request)
        if not 1 <= len(numbers) <= MOST_DELETED:
            raise Refusal(Reason.WRONG, f"1 to {MOST_DELETED} videos can be deleted at once.")
        return numbers

    async def work(self, order: list[str], context: RequestContext) -> RouteAnswer:
        """Delete the videos that exist."""
        scope = context.request.query.get("unique_id") or DEFAULT
        for number in order:
            found = await self.upload_store.find(
                number, kind=VIDEO, account=context.account, unique_id=scope
            )
            if found is not None:
                self.upload_store.remove(found, account=context.account)
        return RouteAnswer(content=None, item="")


def _format_video(stored: StoredUpload, dialect: Dialect) -> dict[str, Any]:
    fields = {
        "video_no": stored.id,
        "video_name": stored.get_name(dialect),
        "duration": None if stored.duration is None else round(stored.duration),
        "size": stored.size,
        "status": _get_status(stored, dialect),
        "cause": stored.cause,
        "create_time": stored.created,
        **stored.told,
    }
    if dialect.null_words:
        fields = {name: "null" if value is None else value for name, value in fields.items()}
    return _rename_fields(fields, dialect)


def _get_status(stored: StoredUpload, dialect: Dialect) -> str:
    return dialect.failed_word if stored.status == "FAILED" else stored.status


def _rename_fields(fields: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    if dialect.names != "camel":
        return fields
    return {re.sub("_([a-z])", lambda m: m[1].upper(), name): fields[name] for name in fields}


def _read_filters(fields: Mapping[str, Any], dialect: Dialect) -> tuple[_Filter, ...]:
    name, number, status = (
        read_text(fields, word) for word in ("video_name", "video_no", "status")
    )
    several = fields.get("video_nos")
    filters: list[_Filter] = []
    if name:
        filters.append(lambda one: name in (one.name, one.get_name(dialect)))
    if number:
        filters.append(lambda one: one.id == number)
    if isinstance(several, list):
        filters.append(lambda one: one.id in several)
    if tag := read_text(fields, "tag"):
        filters.append(lambda one: tag in one.tags)
    if (folder_id := read_folder_id(fields.get("folder_id"))) is not None:
        filters.append(lambda one: one.folder_id == folder_id)
    told = read_details(fields, int)
    if told:
        filters.append(lambda one: told.items() <= one.told.items())
    if status:
        filters.append(lambda one: status in (one.status, _get_status(one, dialect)))
    return tuple(filters)


def _read_number(fields: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a number from 1 to {most}.")
    return value
