"""`get_metadata`, `list_videos` and `delete_videos`: the video library after the upload. All free."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.jobs.upload_store import DEFAULT, Shelf, Stored
from memories_async.local.state.forms import read_json, read_texts, required
from memories_async.local.state.library import VIDEO
from memories_async.local.state.wire import Dialect, Host, Reason, Refusal

__all__ = ["DeleteVideos", "ListVideos", "VideoMetadata"]

MOST_LISTED = 200
MOST_DELETED = 100
_V1 = "/serve/api/v1"
_Test = Callable[[Stored], bool]


@frozen(kw_only=True)
class VideoMetadata:
    """Describes one video; an unknown one is a success without data."""

    shelf: Shelf
    name: str = "videos.metadata"
    method: str = "GET"
    path: str = f"{_V1}/get_metadata"
    is_free: bool = True
    host: Host = Host.V1

    async def read(self, visit: Visit) -> str:
        """Check the query."""
        return required(visit.request.query, "video_no")

    async def work(self, order: str, visit: Visit) -> Answer:
        """Look the video up in its `unique_id`."""
        scope = visit.request.query.get("unique_id") or DEFAULT
        found = await self.shelf.find(order, account=visit.account, unique_id=scope)
        known = found is not None and order.startswith(VIDEO)
        return Answer(content=_shown(found, visit.dialect) if known and found else None, item=order)


@frozen(kw_only=True)
class Wish:
    """What a listing asks."""

    page: int
    size: int
    unique_id: str
    tests: tuple[_Test, ...]


@frozen(kw_only=True)
class ListVideos:
    """Lists one page of a `unique_id`, the newest first."""

    shelf: Shelf
    name: str = "videos.list"
    method: str = "POST"
    path: str = f"{_V1}/list_videos"
    is_free: bool = True
    host: Host = Host.V1

    async def read(self, visit: Visit) -> Wish:
        """Check page, size and filters."""
        fields = await read_json(visit.request)
        return Wish(
            page=_number(fields, "page", 1, 2**31),
            size=_number(fields, "size", 20, MOST_LISTED),
            unique_id=_text(fields, "unique_id") or DEFAULT,
            tests=_tests(fields, visit.dialect),
        )

    async def work(self, order: Wish, visit: Visit) -> Answer:
        """Cut the page out."""
        seen = await self.shelf.videos(account=visit.account, unique_id=order.unique_id)
        fitting = [one for one in seen if all(test(one) for test in order.tests)]
        start = (order.page - 1) * order.size
        content = {
            "videos": [_shown(one, visit.dialect) for one in fitting[start : start + order.size]],
            "current_page": order.page,
            "page_size": order.size,
            "total_count": len(fitting),
        }
        return Answer(content=_spelt(content, visit.dialect), item="")


@frozen(kw_only=True)
class DeleteVideos:
    """Deletes videos; one that is unknown, or of another `unique_id`, is passed over silently."""

    shelf: Shelf
    name: str = "videos.delete"
    method: str = "POST"
    path: str = f"{_V1}/delete_videos"
    is_free: bool = True
    host: Host = Host.V1

    async def read(self, visit: Visit) -> list[str]:
        """Take a bare array."""
        numbers = await read_texts(visit.request)
        if not 1 <= len(numbers) <= MOST_DELETED:
            raise Refusal(Reason.WRONG, f"1 to {MOST_DELETED} videos can be deleted at once.")
        return numbers

    async def work(self, order: list[str], visit: Visit) -> Answer:
        """Delete what is there."""
        scope = visit.request.query.get("unique_id") or DEFAULT
        for number in order:
            found = await self.shelf.find(number, account=visit.account, unique_id=scope)
            if found is not None and number.startswith(VIDEO):
                self.shelf.remove(found, account=visit.account)
        return Answer(content=None, item="")


def _shown(stored: Stored, dialect: Dialect) -> dict[str, Any]:
    shown = {
        "video_no": stored.id,
        "video_name": stored.name,
        "duration": None if stored.duration is None else round(stored.duration, 3),
        "size": stored.size,
        "status": _status(stored, dialect),
        "cause": stored.cause,
        "create_time": stored.created,
    }
    words = {name: "null" if value is None else value for name, value in shown.items()}
    return _spelt(words if dialect.null_words else shown, dialect)


def _status(stored: Stored, dialect: Dialect) -> str:
    return dialect.failed_word if stored.status == "FAILED" else stored.status


def _spelt(shown: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    if dialect.names != "camel":
        return shown
    return {re.sub("_([a-z])", lambda m: m[1].upper(), name): shown[name] for name in shown}


def _tests(fields: Mapping[str, Any], dialect: Dialect) -> tuple[_Test, ...]:
    name, number, status = (_text(fields, word) for word in ("video_name", "video_no", "status"))
    several = fields.get("video_nos")
    tests: list[_Test] = []
    if name:
        tests.append(lambda one: one.name == name)
    if number:
        tests.append(lambda one: one.id == number)
    if isinstance(several, list):
        tests.append(lambda one: one.id in several)
    if status:
        tests.append(lambda one: status in (one.status, _status(one, dialect)))
    return tuple(tests)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a string.")
    return value or ""


def _number(fields: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a number from 1 to {most}.")
    return value
