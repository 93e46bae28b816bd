"""The asset store of API v2, whose videos `embeddings.video` embeds.

An asset is uploaded, processed by the service, and then used by its `asset_id`. It is unrelated to the
`video_no` of the library. memories.ai docs, section "Visual Intelligence" (upload, metadata, delete and
download).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from attrs import field, fields, frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_target, check_text
from memories_async._protocol.call import Call, Form, Part, Progress, estimate_transfer_time
from memories_async._protocol.decode import (
    FAILED,
    READY,
    converter,
    ignore_data,
    is_empty,
    read_size,
    split_fields,
)
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
    if not re.fullmatch(r"[A-Za-z0-9_-]+", check_text("asset_id", asset_id)):
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


_NAMES = tuple(attribute.name for attribute in fields(Asset))
