"""`POST /serve/api/v1/upload` and `/upload_url`: the pages on uploading to the video library.

An upload costs one point, which is refunded where the video cannot be parsed; the real price depends
on its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePath
from typing import Any

from attrs import frozen
from yarl import URL

from memories_async.local.egress.client import EgressClient
from memories_async.local.egress.policy import Unreachable
from memories_async.local.engine.content_cache import hash_content
from memories_async.local.jobs.ingest import IngestJobs
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import (
    DEFAULT,
    DEFAULT_FOLDER,
    ReceivedFile,
    StoredUpload,
)
from memories_async.local.pipeline.upload_stream import FileSink, ReceivedUpload, receive_upload
from memories_async.local.state.forms import (
    DETAILS,
    get_required,
    read_details,
    read_fields,
    read_folder_id,
)
from memories_async.local.state.library import VIDEO
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Dialect, Reason, Refusal, RouteHost

__all__ = ["UploadFile", "UploadUrl"]

EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov")


@frozen(kw_only=True)
class UploadFields:
    """Fields of an upload beside the video."""

    unique_id: str
    callback: str | None
    tags: tuple[str, ...]
    folder_id: int
    told: Mapping[str, Any]
    """What is shown of the video besides."""


@frozen(kw_only=True)
class FileUpload:
    """An upload that was checked."""

    file: ReceivedFile
    options: UploadFields


@frozen(kw_only=True)
class UrlUpload:
    """An upload by URL that was checked."""

    url: str
    options: UploadFields


@frozen(kw_only=True)
class UploadFile:
    """Adds a file to the library."""

    ingest_jobs: IngestJobs
    page_limits: PageLimits
    name: str = "videos.upload"
    family: str = "video_upload"
    method: str = "POST"
    path: str = "/serve/api/v1/upload"
    is_free: bool = False
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> FileUpload:
        """Receive the file, then check it and the other fields."""
        draft = self.ingest_jobs.upload_store.create_draft()
        received = await receive_upload(context, draft, largest=self.page_limits.upload_size)
        _check_file(received)
        options = _read_options(received.fields, context, self.ingest_jobs, self.page_limits)
        return FileUpload(file=received.file, options=options)

    async def work(self, order: FileUpload, context: RequestContext) -> RouteAnswer:
        """Store the file; it is parsed once it is paid."""
        return _accept(self.ingest_jobs, order.file, order.options, context)


@frozen(kw_only=True)
class UploadUrl:
    """Fetches a video into the library before it answers, since links may expire."""

    ingest_jobs: IngestJobs
    fetcher: EgressClient
    page_limits: PageLimits
    name: str = "videos.upload_url"
    family: str = "video_upload"
    method: str = "POST"
    path: str = "/serve/api/v1/upload_url"
    is_free: bool = False
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> UrlUpload:
        """Check the fields, which must be a form and not JSON."""
        fields = await read_fields(context.request)
        url = get_required(dict(fields), "url")
        others = [one for one in fields if one[0] != "url"]
        options = _read_options(others, context, self.ingest_jobs, self.page_limits)
        return UrlUpload(url=url, options=options)

    async def work(self, order: UrlUpload, context: RequestContext) -> RouteAnswer:
        """Fetch the video; the last part of the URL may name one of the library."""
        try:
            received = await self._fetch(order.url, context)
        except (Unreachable, ValueError) as error:
            raise Refusal(Reason.WRONG, f"The url parameter: {error}.") from None
        context.uploads.append(received.sha256)
        return _accept(self.ingest_jobs, received, order.options, context)

    async def _fetch(self, url: str, context: RequestContext) -> ReceivedFile:
        draft, name = self.ingest_jobs.upload_store.create_draft(), URL(url).name
        context.drafts.append(draft)
        engine_pool = self.ingest_jobs.engine_pool
        known = await engine_pool.find_file(name)
        if known is not None:
            draft.symlink_to(known.path)
            digest = await engine_pool.in_thread(partial(hash_content, known.path))
            size = known.path.stat().st_size
            return ReceivedFile(path=draft, file_name=name, size=size, sha256=digest)
        sink = FileSink(draft, self.page_limits.url_size)
        try:
            await self.fetcher.fetch_into(url, sink.write, largest=self.page_limits.url_size)
            digest = await sink.close()
        finally:
            sink.abandon()
        return ReceivedFile(
            path=draft, file_name=name or "video.mp4", size=sink.size, sha256=digest
        )


def _check_file(received: ReceivedUpload) -> None:
    name = received.file.file_name
    if PurePath(name).suffix.lower() not in EXTENSIONS:
        allowed = ", ".join(EXTENSIONS)
        raise Refusal(Reason.WRONG, f"The file '{name}' is not of an allowed type: {allowed}.")
    if not received.content_type.lower().startswith("video/"):
        raise Refusal(
            Reason.WRONG, f"The Content-Type of the file '{name}' must start with video/."
        )
    if not received.file.size:
        raise Refusal(Reason.WRONG, f"The file '{name}' is empty.")


def _read_options(
    fields: Iterable[tuple[str, str]],
    context: RequestContext,
    ingest_jobs: IngestJobs,
    page_limits: PageLimits,
) -> UploadFields:
    several = [(re.sub(r"\[\d*\]$", "", name), value) for name, value in fields]
    context.ignore_fields(
        (name for name, _ in several), {"unique_id", "callback", "tags", "folder_id", *DETAILS}
    )
    tags = [value for name, value in several if name == "tags"]
    if len(tags) > page_limits.tags:
        raise Refusal(Reason.WRONG, f"At most {page_limits.tags} tags are supported.")
    given = dict(several)
    callback = given.get("callback") or None
    if callback is not None:
        most = page_limits.callback_length
        if len(callback) > most:
            sentence = f"The callback parameter is longer than {most} characters."
            raise Refusal(Reason.WRONG, sentence)
        ingest_jobs.outbox.check_url(callback)
    told = read_details(given, _read_date)
    if tags:
        told["tags"] = [*tags, "api"]
    # The service adds a tag of its own to what comes through the API.
    labels = (*tags, "api")
    unique_id = given.get("unique_id") or DEFAULT
    folder_id = read_folder_id(given.get("folder_id"))
    return UploadFields(
        unique_id=unique_id,
        callback=callback,
        tags=labels,
        folder_id=DEFAULT_FOLDER if folder_id is None else folder_id,
        told=told,
    )


def _read_date(text: str) -> int:
    """Read a time in the form of the page, which names no time zone: UTC here."""
    moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _accept(
    ingest_jobs: IngestJobs, file: ReceivedFile, options: UploadFields, context: RequestContext
) -> RouteAnswer:
    stored, begin = ingest_jobs.accept(
        file,
        context,
        kind=VIDEO,
        unique_id=options.unique_id,
        callback=options.callback,
        tags=options.tags,
        folder_id=options.folder_id,
        told=options.told,
    )
    content = _format_upload(stored, context.dialect)
    return RouteAnswer(content=content, item=stored.id, then=begin)


def _format_upload(stored: StoredUpload, dialect: Dialect) -> dict[str, Any]:
    fields = {"videoNo": stored.id, "videoName": stored.get_name(dialect)}
    if not dialect.short_uploads:
        fields |= {"videoStatus": stored.status, "uploadTime": str(stored.created)}
    if dialect.names == "snake":
        snake = {"videoNo": "video_no", "videoName": "video_name", "videoStatus": "video_status"}
        return {snake.get(name, "upload_time"): value for name, value in fields.items()}
    return fields
