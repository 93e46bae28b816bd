"""`POST /serve/api/v1/upload` and `/upload_url`: the pages on uploading to the video library.

Costs one point a call, paid back where the video cannot be parsed; the real price goes by minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import PurePath
from typing import Any

from attrs import frozen
from yarl import URL

from memories_async.local.egress.client import Outgoing
from memories_async.local.egress.policy import Unreachable
from memories_async.local.engine.content_cache import hash_content
from memories_async.local.jobs.ingest import Parsing
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.jobs.upload_store import DEFAULT, Parcel, Stored
from memories_async.local.pipeline.upload_stream import Delivered, Sink, take_in
from memories_async.local.state.forms import read_fields, required
from memories_async.local.state.library import VIDEO
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.wire import Dialect, Host, Reason, Refusal

__all__ = ["UploadFile", "UploadUrl"]

EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov")


@frozen(kw_only=True)
class Options:
    """What an upload's form says beside the video."""

    unique_id: str
    callback: str | None


@frozen(kw_only=True)
class FileOrder:
    """A checked upload."""

    parcel: Parcel
    options: Options


@frozen(kw_only=True)
class UrlOrder:
    """A checked upload by URL."""

    url: str
    options: Options


@frozen(kw_only=True)
class UploadFile:
    """Takes a file into the library."""

    parsing: Parsing
    rules: Rules
    name: str = "videos.upload"
    method: str = "POST"
    path: str = "/serve/api/v1/upload"
    is_free: bool = False
    host: Host = Host.V1

    async def read(self, visit: Visit) -> FileOrder:
        """Take the file down, then check it and the other fields."""
        draft = self.parsing.shelf.draft()
        visit.drafts.append(draft)
        delivered = await take_in(visit.request, draft, largest=self.rules.upload_size)
        visit.uploads.append(delivered.parcel.sha256)
        _check(delivered)
        options = _options(delivered.fields, self.parsing, self.rules)
        return FileOrder(parcel=delivered.parcel, options=options)

    async def work(self, order: FileOrder, visit: Visit) -> Answer:
        """Give the file its number; parsing begins once it is paid."""
        return _accepted(self.parsing, order.parcel, order.options, visit)


@frozen(kw_only=True)
class UploadUrl:
    """Fetches a video into the library while the caller waits, as expiring links need."""

    parsing: Parsing
    fetching: Outgoing
    rules: Rules
    name: str = "videos.upload_url"
    method: str = "POST"
    path: str = "/serve/api/v1/upload_url"
    is_free: bool = False
    host: Host = Host.V1

    async def read(self, visit: Visit) -> UrlOrder:
        """Check the fields, which must come as a form and not as JSON."""
        fields = await read_fields(visit.request)
        url = required(dict(fields), "url")
        return UrlOrder(url=url, options=_options(fields, self.parsing, self.rules))

    async def work(self, order: UrlOrder, visit: Visit) -> Answer:
        """Fetch the video; one of the library is known by the last part of the URL."""
        try:
            parcel = await self._parcel(order.url, visit)
        except (Unreachable, ValueError) as error:
            raise Refusal(Reason.WRONG, f"The url parameter: {error}.") from None
        visit.uploads.append(parcel.sha256)
        return _accepted(self.parsing, parcel, order.options, visit)

    async def _parcel(self, url: str, visit: Visit) -> Parcel:
        draft, name = self.parsing.shelf.draft(), URL(url).name
        visit.drafts.append(draft)
        workshop = self.parsing.workshop
        known = await workshop.in_thread(partial(workshop.library.named, name))
        if known is not None:
            draft.symlink_to(known.path)
            digest = await workshop.in_thread(partial(hash_content, known.path))
            return Parcel(path=draft, file_name=name, size=known.path.stat().st_size, sha256=digest)
        sink = Sink(draft, self.rules.url_size)
        try:
            await self.fetching.fetch_into(url, sink.write, largest=self.rules.url_size)
            digest = await sink.close()
        finally:
            sink.abandon()
        return Parcel(path=draft, file_name=name or "video.mp4", size=sink.size, sha256=digest)


def _check(delivered: Delivered) -> None:
    name = delivered.parcel.file_name
    if PurePath(name).suffix.lower() not in EXTENSIONS:
        allowed = ", ".join(EXTENSIONS)
        raise Refusal(Reason.WRONG, f"The file '{name}' is not of an allowed type: {allowed}.")
    if not delivered.content_type.lower().startswith("video/"):
        raise Refusal(
            Reason.WRONG, f"The Content-Type of the file '{name}' must start with video/."
        )
    if not delivered.parcel.size:
        raise Refusal(Reason.WRONG, f"The file '{name}' is empty.")


def _options(fields: Iterable[tuple[str, str]], parsing: Parsing, rules: Rules) -> Options:
    several = [*fields]
    tags = [value for name, value in several if name == "tags" or name.startswith("tags[")]
    if len(tags) > rules.tags:
        raise Refusal(Reason.WRONG, f"At most {rules.tags} tags are supported.")
    given = dict(several)
    callback = given.get("callback") or None
    if callback is not None:
        _check_callback(callback, parsing, rules)
    return Options(unique_id=given.get("unique_id") or DEFAULT, callback=callback)


def _check_callback(callback: str, parsing: Parsing, rules: Rules) -> None:
    if len(callback) > rules.callback_length:
        sentence = f"The callback parameter is longer than {rules.callback_length} characters."
        raise Refusal(Reason.WRONG, sentence)
    try:
        parsing.outbox.outgoing.guard.checked(callback)
    except Unreachable as error:
        # One that is only out of reach is taken, and its delivery logged as refused.
        if not error.forbidden:
            raise Refusal(Reason.WRONG, f"The callback parameter: {error}.") from None


def _accepted(parsing: Parsing, parcel: Parcel, options: Options, visit: Visit) -> Answer:
    stored = parsing.shelf.put(
        parcel, kind=VIDEO, account=visit.account, unique_id=options.unique_id
    )
    begin = partial(
        parsing.begin,
        stored,
        callback=options.callback,
        fault=visit.callback_fault,
        dialect=visit.dialect,
    )
    return Answer(content=_shown(stored, visit.dialect), item=stored.id, then=begin)


def _shown(stored: Stored, dialect: Dialect) -> dict[str, Any]:
    shown = {"videoNo": stored.id, "videoName": stored.name}
    if not dialect.short_uploads:
        shown |= {"videoStatus": stored.status, "uploadTime": str(stored.created)}
    if dialect.names == "snake":
        snake = {"videoNo": "video_no", "videoName": "video_name", "videoStatus": "video_status"}
        return {snake.get(name, "upload_time"): value for name, value in shown.items()}
    return shown
