"""The video library of API v1, which `clips.search` searches.

A video is uploaded, then parsed by the service, which takes minutes, and can then be searched by its
`video_no`. memories.ai docs, section "Visual Search" (upload, get_metadata, list_videos and
delete_videos). The pages differ in casing and in number types; every form is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, Unpack

from attrs import evolve

from memories_async import media
from memories_async._protocol.arguments import (
    COUNT,
    NumberRule,
    check_id,
    check_target,
    check_text,
    check_url,
)
from memories_async._protocol.call import (
    Call,
    Fields,
    Form,
    Json,
    Part,
    Progress,
    estimate_transfer_time,
)
from memories_async._protocol.decode import ignore_data, read_size
from memories_async._protocol.library import (
    FILTER_NAMES,
    ListFilters,
    Page,
    Video,
    build_filters,
    read_optional_video,
    read_page,
    read_video,
)
from memories_async._protocol.reply import Host
from memories_async._protocol.upload_options import UPLOAD_NAMES, UploadOptions, build_options

MAX_VIDEO_SIZE = 3 * 1024 * media.MB
"""Bytes allowed for an upload."""
EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov")
"""Extensions allowed for an upload."""
MAX_DELETED = 100
"""Videos that one `delete` may list."""
_MAX_PAGE = 200
_PAGE_SIZE = NumberRule(
    f"a whole number from 1 to {_MAX_PAGE}", lambda size: 1 <= size <= _MAX_PAGE, Integral
)
_UPLOADS = "videos.upload takes a file, videos.upload_url a URL"


def upload(
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
    progress: Progress | None = None,
    max_video_size: int | None = MAX_VIDEO_SIZE,
    extra: Mapping[str, Any] | None = None,
    **options: Unpack[UploadOptions],
) -> Call[Video]:
    """Upload a video file into the library.

    The answer is a `Video` with its `video_no`, in status UNPARSE; see `videos.wait`. A success is
    billed by the length of the video. A repeat is not safe: it adds another video, which is billed
    again. After an `OutcomeUnknown`, `videos.reconcile` finds out whether the upload arrived.

    *file* is a path, bytes or a file open for bytes: .mp4, .avi, .mkv or .mov, at most
    *max_video_size* bytes (None removes the limit). It is streamed at constant memory; *progress* is
    called with the bytes sent and the bytes in all. *video_name* defaults to the name of the file.
    *unique_id* is a scope within the account. *callback* is a URL that the service posts the status
    to; a client with a reachable receiver fills one in. *tags* are labels, 20 at most. *options* are
    those of `UploadOptions`, such as `folder_id` and `camera_model`; *extra* are
    further fields of the request.

    Building the call raises `ValueError` or `TypeError` for a file or a text that the service would
    refuse. Sending it raises `MemoriesError`. See memories.ai docs, section "Visual Search".
    """
    name = (
        media.derive_name(file)
        if video_name is None
        else media.check_file_name("video_name", video_name)
    )
    video = media.prepare_video(
        "file", file, max_size=max_video_size, name=name, instead="videos.upload_url takes it"
    )
    if not video.name.lower().endswith(EXTENSIONS):
        raise ValueError(f"file must be one of {', '.join(EXTENSIONS)}, not {video.name}")
    given = build_options(unique_id, callback, tags, options)
    parts = [Part("file", video), *(Part(name, value) for name, value in given)]
    call = _build_upload("upload", Form(tuple(parts)), callback, extra)
    return evolve(call, progress=progress, allowance=estimate_transfer_time(video.size))


def upload_url(
    url: str,
    *,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    **options: Unpack[UploadOptions],
) -> Call[Video]:
    """Have the service fetch a public video by *url* into the library (mp4 or m3u8, at most 1 GB).

    The answer is a `Video` with its `video_no`, in status UNPARSE; see `videos.wait`. A success is
    billed by the length of the video. A repeat is not safe: it adds another video, which is billed
    again.

    *unique_id* is a scope within the account. *callback* is a URL that the service posts the status
    to; a client with a reachable receiver fills one in. *tags* are labels, 20 at most. *options* are
    those of `UploadOptions`, such as `folder_id` and `camera_model`; *extra* are
    further fields of the request.

    Building the call raises `ValueError` or `TypeError` for a URL that is not http or https, sending
    it `MemoriesError`. See memories.ai docs, section "Visual Search".
    """
    given = build_options(unique_id, callback, tags, options)
    body = Fields((("url", check_url("url", url, "videos.upload takes a file")), *given))
    return _build_upload("upload_url", body, callback, extra)


def _build_upload(
    name: str, body: Fields | Form, callback: str | None, extra: Mapping[str, Any] | None
) -> Call[Video]:
    call = Call(
        name=f"videos.{name}",
        host=Host.SEARCH,
        path=f"/serve/api/v1/{name}",
        body=body,
        family="video_upload",
        unit="video",
        repeatable=False,
        welcomes_callback=callback is None,
        decode=read_video,
    )
    return call.with_extra(extra, UPLOAD_NAMES)


def metadata(
    video_no: str, *, unique_id: str = "default", extra: Mapping[str, Any] | None = None
) -> Call[Video | None]:
    """Get one video by its *video_no*. Free, and safe to repeat.

    The answer is a `Video`, or None if the service does not know the video, which also happens for a
    while after its upload. *unique_id* is the scope within the account that it was uploaded to;
    *extra* are further fields of the request.
    Building the call raises `ValueError` or `TypeError` for an empty text, sending it `MemoriesError`.
    See memories.ai docs, section "Visual Search".
    """
    return _describe("metadata", "get_metadata", video_no, unique_id, extra)


def details(
    video_no: str, *, unique_id: str = "default", extra: Mapping[str, Any] | None = None
) -> Call[Video | None]:
    """Get one video with its `width`, `height`, `fps` and `resolution_label`. Free, and safe to repeat.

    The answer is a `Video`, or None if the service does not know the video. *unique_id* is the scope
    within the account; *extra* are further fields of the request. Newer versions of the service answer
    `videos.metadata` with the same fields. Building the call raises `ValueError` or `TypeError` for an
    empty text, sending it `MemoriesError`. See memories.ai docs, "Get Private Video Details".
    """
    return _describe("details", "get_private_video_details", video_no, unique_id, extra)


def _describe(
    name: str, endpoint: str, video_no: str, unique_id: str, extra: Mapping[str, Any] | None
) -> Call[Video | None]:
    query = (
        ("video_no", check_id("video_no", video_no, _UPLOADS)),
        ("unique_id", check_text("unique_id", unique_id)),
    )
    call = Call(
        name=f"videos.{name}",
        host=Host.SEARCH,
        method="GET",
        path=f"/serve/api/v1/{endpoint}",
        query=query,
        family="video_metadata",
        unit=None,
        repeatable=True,
        decode=read_optional_video,
    )
    return call.with_extra(extra)


def list(  # noqa: A001  # the service's word; callers write videos.list
    *,
    page: int = 1,
    size: int = 200,
    unique_id: str = "default",
    extra: Mapping[str, Any] | None = None,
    **filters: Unpack[ListFilters],
) -> Call[Page]:
    """Get one page of the library. Free, and safe to repeat.

    The answer is a `Page` with at most *size* videos (1 to 200), starting from *page* 1;
    `client.videos.list` iterates over the videos of all pages. *unique_id* is the scope within the
    account. *filters* are those of `ListFilters`: `video_name`, `video_no`, `video_nos`, `status` (PARSE,
    UNPARSE or FAILED), `tag`, `folder_id`, `camera_model`, `datetime_taken`, `latitude` and `longitude`.
    *extra* are further fields of the request. Building the call raises `ValueError` or `TypeError` for
    a page or size out of range or a filter that cannot be sent, sending it `MemoriesError`. See
    memories.ai docs, section "Visual Search".
    """
    COUNT.check("page", page)
    _PAGE_SIZE.check("size", size)
    scope = check_text("unique_id", unique_id)
    body = {"page": page, "size": size, **build_filters(filters), "unique_id": scope}
    call = Call(
        name="videos.list",
        host=Host.SEARCH,
        path="/serve/api/v1/list_videos",
        body=Json(body),
        family="video_list",
        unit=None,
        repeatable=True,
        decode=partial(read_page, page=page, size=size),
    )
    return call.with_extra(extra, FILTER_NAMES)


def delete(
    video_nos: Iterable[str], *, unique_id: str = "default", extra: Mapping[str, Any] | None = None
) -> Call[None]:
    """Delete 1 to 100 videos for good. Free, and safe to repeat.

    The service accepts unknown ids; `Conflict` means that a video was deleted before.
    `client.videos.delete` takes any number of ids and ignores that conflict. *unique_id* is the scope
    within the account; *extra* are further fields of the request. Building the call raises `ValueError`
    or `TypeError` for no ids or too many, sending it `MemoriesError`. See memories.ai docs, section
    "Visual Search".
    """
    if isinstance(video_nos, str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    numbers = tuple(check_id("video_nos", video_no, _UPLOADS) for video_no in video_nos)
    if not 1 <= len(numbers) <= MAX_DELETED:
        raise ValueError(f"video_nos must be 1 to {MAX_DELETED} ids, not {len(numbers)}")
    call = Call(
        name="videos.delete",
        host=Host.SEARCH,
        path="/serve/api/v1/delete_videos",
        query=(("unique_id", check_text("unique_id", unique_id)),),
        body=Json(numbers),
        family="video_delete",
        unit=None,
        repeatable=True,
        decode=ignore_data,
    )
    return call.with_extra(extra)


def download(
    video_no: str,
    *,
    to: str | os.PathLike[str],
    unique_id: str = "default",
    extra: Mapping[str, Any] | None = None,
) -> Call[int]:
    """Download the original file of a video of the library into the file *to*.

    The answer is the number of bytes written. The file appears under its name once it is complete; a
    download that fails leaves nothing. A success is billed by the gigabyte. A repeat is safe: it
    writes the same file and is billed again. *unique_id* is the scope within the account; *extra* are
    further fields of the request.

    Building the call raises `ValueError` or `TypeError` for an empty text, or if the folder of *to* does
    not exist. Sending it raises `OutcomeUnknown` if the file cannot be written, and any other
    `MemoriesError`. See memories.ai docs, "Download Video".
    """
    body = {
        "video_no": check_id("video_no", video_no, _UPLOADS),
        "unique_id": check_text("unique_id", unique_id),
    }
    call = Call(
        name="videos.download",
        host=Host.SEARCH,
        path="/serve/api/v1/download",
        body=Json(body),
        family="video_download",
        unit="download",
        repeatable=True,
        save_to=check_target(to),
        allowance=estimate_transfer_time(MAX_VIDEO_SIZE),
        decode=read_size,
    )
    return call.with_extra(extra)


def download_blob(
    bucket: str, blob: str, *, to: str | os.PathLike[str], extra: Mapping[str, Any] | None = None
) -> Call[int]:
    """Download what the service stores as *blob* in *bucket* into the file *to*.

    `Clip.extra` has both as `video_bucket` and `video_blob`, where the service sends them. The answer
    is the number of bytes written; a download that fails leaves no file. A success is billed by the
    gigabyte. A repeat is safe: it writes the same file and is billed again. *extra* are
    further fields of the request.

    Building the call raises `ValueError` or `TypeError` for an empty text, or if the folder of *to* does
    not exist. Sending it raises `OutcomeUnknown` if the file cannot be written, and any other
    `MemoriesError`. See memories.ai docs, "Download by Bucket & Blob".
    """
    query = (("bucket", check_text("bucket", bucket)), ("blob", check_text("blob", blob)))
    call = Call(
        name="videos.download_blob",
        host=Host.EMBEDDINGS,
        method="GET",
        path="/serve/api/v2/download",
        query=query,
        family="asset_download",
        unit="download",
        repeatable=True,
        save_to=check_target(to),
        allowance=estimate_transfer_time(MAX_VIDEO_SIZE),
        decode=read_size,
    )
    return call.with_extra(extra)


__all__ = [
    "EXTENSIONS",
    "MAX_DELETED",
    "MAX_VIDEO_SIZE",
    "ListFilters",
    "Page",
    "UploadOptions",
    "Video",
    "delete",
    "details",
    "download",
    "download_blob",
    "list",
    "metadata",
    "read_video",
    "upload",
    "upload_url",
]
