"""Assets of the embedding host: upload, metadata, delete, download.

Uploads and downloads cost one point a call, the rest is free. An unknown asset is HTTP 400, "Asset
not found": the page on errors states that for embeddings, and no page for the other routes.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from attrs import frozen

from memories_async.local.jobs.ingest import IngestJobs
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import (
    ReceivedFile,
    StoredUpload,
    UploadStore,
    build_file_answer,
)
from memories_async.local.pipeline.upload_stream import receive_upload
from memories_async.local.state.library import ASSET
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["AssetMetadata", "DeleteAsset", "DownloadAsset", "UploadAsset"]

_V2 = "/serve/api/v2"
_STATUSES = {"WAITING": "WAITING", "UNPARSE": "UPLOADING", "PARSE": "SUCCESS", "FAILED": "FAILED"}


@frozen(kw_only=True)
class UploadAsset:
    """Stores a file. It is decoded only when it is embedded."""

    ingest_jobs: IngestJobs
    page_limits: PageLimits
    name: str = "assets.upload"
    family: str = "asset_upload"
    method: str = "POST"
    path: str = f"{_V2}/upload"
    is_free: bool = False
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> ReceivedFile:
        """Receive the file."""
        draft = self.ingest_jobs.upload_store.create_draft()
        received = await receive_upload(context, draft, largest=self.page_limits.upload_size)
        if not received.file.size:
            raise Refusal(Reason.WRONG, f"The file '{received.file.file_name}' is empty.")
        return received.file

    async def work(self, order: ReceivedFile, context: RequestContext) -> RouteAnswer:
        """Store the file."""
        stored, begin = self.ingest_jobs.accept(order, context, kind=ASSET)
        return RouteAnswer(content={"asset_id": stored.id}, item=stored.id, then=begin)


@frozen(kw_only=True)
class AssetMetadata:
    """Describes one asset, in a list."""

    upload_store: UploadStore
    name: str = "assets.metadata"
    family: str = "asset_metadata"
    method: str = "GET"
    path: str = f"{_V2}/{{asset_id}}/metadata"
    is_free: bool = True
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> StoredUpload:
        """Find the asset."""
        return await _find_asset(self.upload_store, context)

    async def work(self, order: StoredUpload, _: RequestContext) -> RouteAnswer:
        """Describe the asset; numbers are text, as on the page."""
        return RouteAnswer(content={"total": 1, "resource": [_format_asset(order)]}, item=order.id)


@frozen(kw_only=True)
class DeleteAsset:
    """Deletes one asset."""

    upload_store: UploadStore
    name: str = "assets.delete"
    family: str = "asset_delete"
    method: str = "DELETE"
    path: str = f"{_V2}/{{asset_id}}"
    is_free: bool = True
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> StoredUpload:
        """Find the asset."""
        return await _find_asset(self.upload_store, context)

    async def work(self, order: StoredUpload, context: RequestContext) -> RouteAnswer:
        """Delete the asset."""
        self.upload_store.remove(order, account=context.account)
        return RouteAnswer(content=None, item=order.id)


@frozen(kw_only=True)
class DownloadAsset:
    """Sends the file of one asset."""

    upload_store: UploadStore
    name: str = "assets.download"
    family: str = "asset_download"
    method: str = "GET"
    path: str = f"{_V2}/{{asset_id}}/download"
    is_free: bool = False
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> StoredUpload:
        """Find the asset, and its file."""
        found = await _find_asset(self.upload_store, context)
        if found.status == "WAITING":
            raise Refusal(Reason.WRONG, "Asset is not ready")
        return found

    async def work(self, order: StoredUpload, _: RequestContext) -> RouteAnswer:
        """Answer with the file."""
        return build_file_answer(order)


async def _find_asset(upload_store: UploadStore, context: RequestContext) -> StoredUpload:
    asset_id = context.request.match_info["asset_id"]
    found = await upload_store.find(asset_id, kind=ASSET, account=context.account)
    if found is None:
        raise Refusal(Reason.WRONG, "Asset not found")
    return found


def _format_asset(stored: StoredUpload) -> dict[str, Any]:
    return {
        "asset_id": stored.id,
        "extension": PurePath(stored.name).suffix.removeprefix("."),
        "original_filename": stored.name,
        "file_size": str(stored.size),
        "upload_status": _STATUSES[stored.status],
        "create_time": str(stored.created),
        "modify_time": str(stored.created),
    }
