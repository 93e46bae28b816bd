"""`download` of the video library, by number or by place: one point here, billed by the gigabyte there."""

from __future__ import annotations

from pathlib import PurePath

from attrs import frozen

from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import (
    DEFAULT,
    StoredUpload,
    UploadStore,
    build_file_answer,
)
from memories_async.local.state.forms import get_required, read_json, read_text
from memories_async.local.state.library import VIDEO
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["DownloadBlob", "DownloadVideo"]

_V1 = "/serve/api/v1"


@frozen(kw_only=True)
class DownloadVideo:
    """Sends the file of one video."""

    upload_store: UploadStore
    name: str = "videos.download"
    family: str = "video_download"
    method: str = "POST"
    path: str = f"{_V1}/download"
    is_free: bool = False
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> StoredUpload:
        """Find the video in its `unique_id`."""
        fields = await read_json(context.request)
        context.ignore_fields(fields, {"video_no", "unique_id"})
        video_no = get_required(fields, "video_no")
        return await _find_video(
            self.upload_store, video_no, context, read_text(fields, "unique_id") or DEFAULT
        )

    async def work(self, order: StoredUpload, _: RequestContext) -> RouteAnswer:
        """Answer with the file."""
        return build_file_answer(order)


@frozen(kw_only=True)
class DownloadBlob:
    """Sends the file of a video by its place in the storage: here any bucket, and its `video_no`."""

    upload_store: UploadStore
    name: str = "videos.download_blob"
    family: str = "asset_download"
    method: str = "GET"
    path: str = "/serve/api/v2/download"
    is_free: bool = False
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> StoredUpload:
        """Find the video that the blob is named after."""
        query = context.request.query
        context.ignore_fields(query, {"bucket", "blob"})
        get_required(query, "bucket")
        video_no = PurePath(get_required(query, "blob")).stem
        return await _find_video(self.upload_store, video_no, context, None)

    async def work(self, order: StoredUpload, _: RequestContext) -> RouteAnswer:
        """Answer with the file."""
        return build_file_answer(order)


async def _find_video(
    upload_store: UploadStore, video_no: str, context: RequestContext, unique_id: str | None
) -> StoredUpload:
    found = await upload_store.find(
        video_no, kind=VIDEO, account=context.account, unique_id=unique_id
    )
    if found is None:
        raise Refusal(Reason.WRONG, "video not found")
    return found
