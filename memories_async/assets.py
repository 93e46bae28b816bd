"""The v2 asset store: what `embeddings.video` embeds.

An asset is uploaded, processed, and then used by its `asset_id`, which has nothing to do with a
`video_no`. Source: the service's "Visual Intelligence" pages (upload, metadata, delete, download).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.call import (
    Call,
    Form,
    Part,
    Progress,
    check_text,
    estimate_transfer_time,
)
from memories_async._protocol.decode import FAILED, READY, converter, is_empty, split_fields
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value
from memories_async.videos import MAX_VIDEO_SIZE, ignore_data

_PATH = "/serve/api/v2"


@frozen(kw_only=True, slots=False)
class Asset(Value):
    """A stored file, as far as the service told."""

    asset_id: str
    extension: str | None = None
    original_filename: str | None = None
    file_size: int | None = None
    """Bytes."""
    upload_status: str | None = None
    """SUCCESS when it can be used, WAITING and UPLOADING before; see `ready` and `failed`."""
    create_time: int | None = None
    """Milliseconds since 1970."""
    modify_time: int | None = None
    """Milliseconds since 1970."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the pages do not name."""

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        return self.upload_status in READY

    @property
    def failed(self) -> bool:
        """Whether it never will be."""
        return self.upload_status in FAILED


def upload(
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    max_video_size: int | None = None,
) -> Call[Asset]:
    """Upload a video file as an asset.

    Every repeat makes another asset. The file streams at constant memory; *progress* is told the
    bytes sent and in all. *filename* defaults to the file's own name. The page states no size
    limit. Raises `ValueError` for an empty file or one that is no video.
    """
    name = (
        media.derive_name(file) if filename is None else media.check_file_name("filename", filename)
    )
    video = media.prepare_video("file", file, max_size=max_video_size, name=name)
    return Call(
        name="assets.upload",
        host=Host.EMBEDDINGS,
        path=f"{_PATH}/upload",
        body=Form((Part("file", video),)),
        family="asset_upload",
        unit="asset",
        repeatable=False,
        progress=progress,
        allowance=estimate_transfer_time(video.size),
        decode=_asset,
    )


def metadata(asset_id: str) -> Call[Asset | None]:
    """Ask for one asset; free. None while the service has not yet listed it."""
    return Call(
        name="assets.metadata",
        host=Host.EMBEDDINGS,
        method="GET",
        path=f"{_PATH}/{_id(asset_id)}/metadata",
        family="asset_metadata",
        unit=None,
        repeatable=True,
        decode=_described,
    )


def delete(asset_id: str) -> Call[None]:
    """Delete an asset; free, final. An unknown one is refused with `InvalidRequest`."""
    return Call(
        name="assets.delete",
        host=Host.EMBEDDINGS,
        method="DELETE",
        path=f"{_PATH}/{_id(asset_id)}",
        family="asset_delete",
        unit=None,
        repeatable=True,
        decode=ignore_data,
    )


def download(asset_id: str, *, to: str | os.PathLike[str]) -> Call[int]:
    """Download an asset into the file *to*, complete or not at all; the answer is its bytes.

    Billed by the gigabyte.
    """
    target = Path(to)
    if not target.parent.is_dir():
        raise ValueError(f"to must be in a folder that exists: {target.parent}")
    return Call(
        name="assets.download",
        host=Host.EMBEDDINGS,
        method="GET",
        path=f"{_PATH}/{_id(asset_id)}/download",
        family="asset_download",
        unit="download",
        repeatable=True,
        save_to=target,
        allowance=estimate_transfer_time(MAX_VIDEO_SIZE),
        decode=_size,
    )


def _id(asset_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", check_text("asset_id", asset_id)):
        raise ValueError(f"asset_id must be letters, digits, _ and -, not {asset_id!r}")
    return asset_id


def _asset(data: Any) -> Asset:
    asset = converter.structure(split_fields(data, _NAMES, {}), Asset)
    if not asset.asset_id:
        raise ValueError("asset_id is empty")
    return asset


def _described(data: Any) -> Asset | None:
    listed = (
        None
        if is_empty(data)
        else data.get("resource", data)
        if wire_json.is_object(data)
        else data
    )
    if listed is None or wire_json.is_array(listed):
        return _asset(listed[0]) if listed else None
    return _asset(data)


def _size(data: Any) -> int:
    if not isinstance(data, int):
        raise TypeError("the reply is no file")
    return data


_NAMES = tuple(attribute.name for attribute in fields(Asset))
