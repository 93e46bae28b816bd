"""The asset store of API v2, whose videos `embeddings.video` embeds.

An asset is uploaded, processed by the service, and then used by its `asset_id`. It is unrelated to the
`video_no` of the library. memories.ai docs, section "Visual Intelligence" (upload, upload by signed URL,
metadata, delete and download).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from attrs import field, fields, frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_id, check_target, check_text, check_url
from memories_async._protocol.call import Call, Form, Json, Part, Progress, estimate_transfer_time
from memories_async._protocol.decode import (
    FAILED,
    READY,
    converter,
    ignore_data,
    is_empty,
    read_size,
    split_fields,
)
from memories_async._protocol.media_types import VIDEO_TYPES
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value
from memories_async.videos import MAX_VIDEO_SIZE

_PATH = "/serve/api/v2"


@frozen(kw_only=True, slots=False)
class Asset(Value):
    """A stored file. A field that the service did not send is None."""

    asset_id: str
    extension: str | None = None
    original_filename: str | None = None
    file_size: int | None = None
    """Bytes."""
    upload_status: str | None = None
    """SUCCESS once it can be used, WAITING or UPLOADING before; see `ready` and `failed`."""
    create_time: int | None = None
    """Milliseconds since 1970."""
    modify_time: int | None = None
    """Milliseconds since 1970."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the documentation does not describe."""

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        return self.upload_status in READY

    @property
    def failed(self) -> bool:
        """Whether processing failed, so that it never can be used."""
        return self.upload_status in FAILED


@frozen(kw_only=True, slots=False)
class SignedUrl(Value):
    """An address in the service's storage, to which one file can be sent without an API key."""

    asset_id: str
    signed_url: str = field(repr=False)
    """Whoever has it can upload the file."""
    expires_in: int | None = None
    """Seconds; a day or so."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the documentation does not describe."""


def upload(
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    max_video_size: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Call[Asset]:
    """Upload a video file as an asset.

    The answer is an `Asset` with its `asset_id`; see `assets.wait`. The service bills storage (memories.ai
    docs, "Pricing"). A repeat is not safe: it adds another asset.

    *file* is a path, bytes or a file open for bytes, with the extension of a video. The documentation
    states no size limit; *max_video_size* sets one in bytes. The file is streamed at constant memory;
    *progress* is called with the bytes sent and the bytes in all. *filename* defaults to the name of
    the file; *extra* are further fields of the request.

    Building the call raises `ValueError` or `TypeError` for a file that is empty, too large or not a
    video. Sending it raises `MemoriesError`. See memories.ai docs, section "Visual Intelligence".
    """
    name = (
        media.derive_name(file) if filename is None else media.check_file_name("filename", filename)
    )
    video = media.prepare_video("file", file, max_size=max_video_size, name=name)
    call = Call(
        name="assets.upload",
        host=Host.EMBEDDINGS,
        path=f"{_PATH}/upload",
        body=Form((Part("file", video),)),
        family="asset_upload",
        unit="asset",
        repeatable=False,
        progress=progress,
        allowance=estimate_transfer_time(video.size),
        decode=_read_asset,
    )
    return call.with_extra(extra)


def signed_url(
    original_filename: str, *, extra: Mapping[str, Any] | None = None
) -> Call[SignedUrl]:
    """Ask for an address in the service's storage to which a file can be uploaded as an asset.

    The answer is a `SignedUrl`: the asset's id and the address, for `assets.send_to`. Free; a repeat is
    safe, and reserves another id. *original_filename* has the extension of a video; *extra* are further
    fields of the request. `client.assets.signed_upload` makes both steps.

    Building the call raises `ValueError` or `TypeError` for a name that the service would refuse.
    Sending it raises `MemoriesError`. See memories.ai docs, "Upload by Signed URL".
    """
    name = media.check_file_name("original_filename", original_filename)
    if PurePath(name).suffix.lower() not in VIDEO_TYPES:
        raise ValueError(f"original_filename must have the extension of a video, not {name!r}")
    call = Call(
        name="assets.signed_url",
        host=Host.EMBEDDINGS,
        path=f"{_PATH}/upload/signed-url",
        body=Json({"original_filename": name}),
        family="asset_upload",
        unit=None,
        repeatable=True,
        decode=_read_signed_url,
    )
    return call.with_extra(extra)


def send_to(
    signed: SignedUrl, file: media.Source, *, progress: Progress | None = None
) -> Call[None]:
    """Send a video file to the address of *signed*, which makes it the asset `signed.asset_id`.

    The service bills the storage of the asset by size and time, and no request. A repeat is safe: the
    same bytes become the same asset. The API key is not sent to the storage.

    *file* is a path, bytes or a file open for bytes. It is streamed at constant memory; *progress* is
    called with the bytes sent and the bytes in all.

    Building the call raises `ValueError` or `TypeError` for a file that is empty or not a video. Sending
    it raises `PermissionDenied`, with the storage's status, once the address has expired, and any other
    `MemoriesError`. See memories.ai docs, "Upload by Signed URL".
    """
    video = media.prepare_video("file", file, max_size=None, name=media.derive_name(file))
    return Call(
        name="assets.send_to",
        host=Host.EMBEDDINGS,
        path="/",
        storage_url=signed.signed_url,
        body=Form((Part("file", video),)),
        family="asset_upload",
        unit=None,
        repeatable=True,
        progress=progress,
        allowance=estimate_transfer_time(video.size),
        decode=ignore_data,
    )


def metadata(asset_id: str, *, extra: Mapping[str, Any] | None = None) -> Call[Asset | None]:
    """Get one asset by its *asset_id*. Free, and safe to repeat.

    The answer is an `Asset`, or None while the service does not list it yet. *extra* are further fields
    of the request. Building the call raises `ValueError` or `TypeError` for an id that cannot be one,
    sending it `MemoriesError`. See memories.ai docs, section "Visual Intelligence".
    """
    call = Call(
        name="assets.metadata",
        host=Host.EMBEDDINGS,
        method="GET",
        path=f"{_PATH}/{_check_id(asset_id)}/metadata",
        family="asset_metadata",
        unit=None,
        repeatable=True,
        decode=_read_optional_asset,
    )
    return call.with_extra(extra)


def delete(asset_id: str, *, extra: Mapping[str, Any] | None = None) -> Call[None]:
    """Delete an asset for good. Free, and safe to repeat.

    *extra* are further fields of the request. Building the call raises `ValueError` or `TypeError` for
    an id that cannot be one. Sending it raises `InvalidRequest` for an unknown asset, and any other
    `MemoriesError`. See memories.ai docs, section "Visual Intelligence".
    """
    call = Call(
        name="assets.delete",
        host=Host.EMBEDDINGS,
        method="DELETE",
        path=f"{_PATH}/{_check_id(asset_id)}",
        family="asset_delete",
        unit=None,
        repeatable=True,
        decode=ignore_data,
    )
    return call.with_extra(extra)


def download(
    asset_id: str, *, to: str | os.PathLike[str], extra: Mapping[str, Any] | None = None
) -> Call[int]:
    """Download an asset into the file *to*.

    The answer is the number of bytes written. The file appears under its name once it is complete; a
    download that fails leaves nothing. A success is billed by the gigabyte. A repeat is safe: it
    writes the same file and is billed again. *extra* are further fields of the request.

    Building the call raises `ValueError` or `TypeError` for an id that cannot be one, or if the folder
    of *to* does not exist. Sending it raises `OutcomeUnknown` if the file cannot be written, and any
    other `MemoriesError`. See memories.ai docs, section "Visual Intelligence".
    """
    call = Call(
        name="assets.download",
        host=Host.EMBEDDINGS,
        method="GET",
        path=f"{_PATH}/{_check_id(asset_id)}/download",
        family="asset_download",
        unit="download",
        repeatable=True,
        save_to=check_target(to),
        allowance=estimate_transfer_time(MAX_VIDEO_SIZE),
        decode=read_size,
    )
    return call.with_extra(extra)


def _check_id(asset_id: str) -> str:
    check_id("asset_id", asset_id, "assets.upload takes a file")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", asset_id):
        raise ValueError(f"asset_id must be letters, digits, _ and -, not {asset_id!r}")
    return asset_id


def _read_asset(data: Any) -> Asset:
    asset = converter.structure(split_fields(data, _NAMES, {}), Asset)
    if not asset.asset_id:
        raise ValueError("asset_id is empty")
    return asset


def _read_optional_asset(data: Any) -> Asset | None:
    listed = data.get("resource", [data]) if wire_json.is_object(data) and data else data
    if is_empty(listed):
        return None
    if not wire_json.is_array(listed):
        raise TypeError("data must be an asset or a list of assets")
    return _read_asset(listed[0]) if listed else None


def _read_signed_url(data: Any) -> SignedUrl:
    signed = converter.structure(split_fields(data, _SIGNED_NAMES, {}), SignedUrl)
    check_url("signed_url", check_text("signed_url", signed.signed_url))
    check_text("asset_id", signed.asset_id)
    return signed


_NAMES = tuple(attribute.name for attribute in fields(Asset))
_SIGNED_NAMES = tuple(attribute.name for attribute in fields(SignedUrl))
