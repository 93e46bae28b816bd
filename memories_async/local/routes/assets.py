"""The asset store of the embedding host: upload, metadata, delete, download.

Uploads and downloads cost one point a call, the rest is free. An unknown asset is HTTP 400, "Asset
not found", which the error page says for embeddings, and which is taken for all routes here.
"""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from attrs import frozen

from memories_async.local.jobs.ingest import Parsing
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.jobs.upload_store import DEFAULT, Parcel, Shelf, Stored
from memories_async.local.pipeline.upload_stream import take_in
from memories_async.local.state.library import ASSET
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.wire import Host, Reason, Refusal

__all__ = ["AssetMetadata", "DeleteAsset", "DownloadAsset", "UploadAsset"]

_V2 = "/serve/api/v2"
_STATUSES = {"UNPARSE": "UPLOADING", "PARSE": "SUCCESS", "FAILED": "FAILED"}


@frozen(kw_only=True)
class UploadAsset:
    """Stores a file; whether it is a video shows when it is embedded."""

    parsing: Parsing
    rules: Rules
    name: str = "assets.upload"
    method: str = "POST"
    path: str = f"{_V2}/upload"
    is_free: bool = False
    host: Host = Host.V2

    async def read(self, visit: Visit) -> Parcel:
        """Take the file down."""
        draft = self.parsing.shelf.draft()
        visit.drafts.append(draft)
        delivered = await take_in(visit.request, draft, largest=self.rules.upload_size)
        visit.uploads.append(delivered.parcel.sha256)
        if not delivered.parcel.size:
            raise Refusal(Reason.WRONG, f"The file '{delivered.parcel.file_name}' is empty.")
        return delivered.parcel

    async def work(self, order: Parcel, visit: Visit) -> Answer:
        """Give the file its id."""
        stored = self.parsing.shelf.put(order, kind=ASSET, account=visit.account, unique_id=DEFAULT)
        fault = visit.callback_fault
        begin = partial(
            self.parsing.begin, stored, callback=None, fault=fault, dialect=visit.dialect
        )
        return Answer(content={"asset_id": stored.id}, item=stored.id, then=begin)


@frozen(kw_only=True)
class AssetMetadata:
    """Describes one asset, as a list of one."""

    shelf: Shelf
    name: str = "assets.metadata"
    method: str = "GET"
    path: str = f"{_V2}/{{asset_id}}/metadata"
    is_free: bool = True
    host: Host = Host.V2

    async def read(self, visit: Visit) -> Stored:
        """Find the asset."""
        return await _asset(self.shelf, visit)

    async def work(self, order: Stored, _visit: Visit) -> Answer:
        """Describe it; numbers are text on this page."""
        return Answer(content={"total": 1, "resource": [_shown(order)]}, item=order.id)


@frozen(kw_only=True)
class DeleteAsset:
    """Deletes one asset."""

    shelf: Shelf
    name: str = "assets.delete"
    method: str = "DELETE"
    path: str = f"{_V2}/{{asset_id}}"
    is_free: bool = True
    host: Host = Host.V2

    async def read(self, visit: Visit) -> Stored:
        """Find the asset."""
        return await _asset(self.shelf, visit)

    async def work(self, order: Stored, visit: Visit) -> Answer:
        """Forget it."""
        self.shelf.remove(order, account=visit.account)
        return Answer(content=None, item=order.id)


@frozen(kw_only=True)
class DownloadAsset:
    """Sends the file itself."""

    shelf: Shelf
    name: str = "assets.download"
    method: str = "GET"
    path: str = f"{_V2}/{{asset_id}}/download"
    is_free: bool = False
    host: Host = Host.V2

    async def read(self, visit: Visit) -> Stored:
        """Find the asset."""
        return await _asset(self.shelf, visit)

    async def work(self, order: Stored, _visit: Visit) -> Answer:
        """Hand its file over."""
        disposition = f"attachment; filename*=UTF-8''{quote(order.name)}"
        headers = {"Content-Disposition": disposition}
        return Answer(content=None, file=order.video.path, item=order.id, headers=headers)


async def _asset(shelf: Shelf, visit: Visit) -> Stored:
    asset_id = visit.request.match_info["asset_id"]
    found = await shelf.find(asset_id, account=visit.account, unique_id=DEFAULT)
    if found is None or not asset_id.startswith(ASSET):
        raise Refusal(Reason.WRONG, "Asset not found")
    return found


def _shown(stored: Stored) -> dict[str, Any]:
    return {
        "asset_id": stored.id,
        "extension": PurePath(stored.name).suffix.removeprefix("."),
        "original_filename": stored.name,
        "file_size": str(stored.size),
        "upload_status": _STATUSES[stored.status],
        "create_time": str(stored.created),
        "modify_time": str(stored.created),
    }
