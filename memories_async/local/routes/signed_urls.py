"""`POST /serve/api/v2/upload/signed-url`, and the storage to which the file is then sent.

The page shows a form with the part `file`, sent without a key. It does not show what the storage answers;
here it is HTTP 200 with an empty object, and HTTP 403 for an address that is unknown or has expired.
"""

from __future__ import annotations

import secrets
import time
from pathlib import PurePath

from attrs import define, field, frozen

from memories_async._protocol.media_types import VIDEO_TYPES
from memories_async.local.jobs.ingest import IngestJobs
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import ReceivedFile, StoredUpload, UploadStore
from memories_async.local.pipeline.upload_stream import receive_upload
from memories_async.local.state.forms import get_required, read_json
from memories_async.local.state.library import ASSET
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["ReceiveFile", "SignUrl", "SignedUrls"]

EXPIRES_IN = 93_600
"""Seconds, as in the page's sample."""


@define(eq=False)
class SignedUrls:
    """The addresses that were given out, by the secret in each, with their asset and their end."""

    upload_store: UploadStore
    _assets: dict[str, tuple[StoredUpload, float]] = field(
        factory=dict[str, tuple[StoredUpload, float]], init=False
    )

    def sign(self, stored: StoredUpload) -> str:
        """Draw the secret for *stored*."""
        token = secrets.token_urlsafe(24)
        self._assets[token] = (stored, time.monotonic() + EXPIRES_IN)
        return token

    def find(self, token: str) -> StoredUpload:
        """Find the asset of an address; raises `Refusal`."""
        stored, end = self._assets.get(token, (None, 0.0))
        if stored is None or time.monotonic() > end or stored not in self.upload_store:
            raise Refusal(Reason.DISABLED, "The signed URL is unknown or has expired.")
        return stored


@frozen(kw_only=True)
class SignUrl:
    """Reserves an asset, and gives out the address for its file."""

    signed_urls: SignedUrls
    name: str = "assets.signed_url"
    family: str = "asset_upload"
    method: str = "POST"
    path: str = "/serve/api/v2/upload/signed-url"
    is_free: bool = True
    host: RouteHost = RouteHost.V2

    async def read(self, context: RequestContext) -> str:
        """Check the name."""
        fields = await read_json(context.request)
        context.ignore_fields(fields, {"original_filename"})
        name = get_required(fields, "original_filename")
        if PurePath(name).suffix.lower() not in VIDEO_TYPES:
            raise Refusal(Reason.WRONG, f"The file '{name}' has no extension of a video.")
        return name

    async def work(self, order: str, context: RequestContext) -> RouteAnswer:
        """Reserve the asset."""
        urls, origin = self.signed_urls, context.request.url.origin()
        stored = urls.upload_store.reserve(order, kind=ASSET, account=context.account)
        content = {
            "asset_id": stored.id,
            "signed_url": f"{origin}/_storage/{urls.sign(stored)}",
            "expires_in": EXPIRES_IN,
        }
        return RouteAnswer(content=content, item=stored.id)


@frozen(kw_only=True)
class ReceiveFile:
    """Receives the file of an address, without a key; the same file may be sent again."""

    signed_urls: SignedUrls
    ingest_jobs: IngestJobs
    page_limits: PageLimits
    name: str = "assets.send_to"
    family: str = "storage"
    method: str = "POST"
    path: str = "/_storage/{token}"
    is_free: bool = True
    host: RouteHost = RouteHost.STORAGE

    async def read(self, context: RequestContext) -> tuple[StoredUpload, ReceivedFile]:
        """Find the asset, and receive the file."""
        stored = self.signed_urls.find(context.request.match_info["token"])
        draft = self.ingest_jobs.upload_store.create_draft()
        received = await receive_upload(context, draft, largest=self.page_limits.upload_size)
        if not received.file.size:
            raise Refusal(Reason.WRONG, f"The file '{received.file.file_name}' is empty.")
        return stored, received.file

    async def work(
        self, order: tuple[StoredUpload, ReceivedFile], context: RequestContext
    ) -> RouteAnswer:
        """Store the file under the id of its asset."""
        stored, file = order
        self.ingest_jobs.complete(stored, file, context)
        return RouteAnswer(content=None, item=stored.id)
