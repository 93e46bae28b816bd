"""Flows of several calls: upload a file and wait for it, find a lost upload, delete many videos.

Each flow is a coroutine function whose first parameter is the client, so that the views can offer it
awaited and blocking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import unquote

from memories_async import assets, media, videos
from memories_async._client.polling import PollSettings, ProgressTracker, wait_until_ready
from memories_async._client.sender import Sender
from memories_async._flows.signed_uploads import signed_upload
from memories_async._protocol.call import Call, Progress
from memories_async._protocol.flow import FIRST_INTERVAL, TIMEOUT
from memories_async._protocol.upload_options import UploadOptions
from memories_async.assets import Asset
from memories_async.errors import Conflict, UnclearUpload
from memories_async.videos import Page, Video

_HASH = re.compile(
    r"(?=.*[a-f])(?:[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|\d{18,}",
    re.IGNORECASE,
)
"""A name that the service drew for an upload; a date and a time are no such name."""
_ADDED = re.compile(r"[_-]?[0-9a-f-]{10,}[_-]?", re.IGNORECASE)
"""What the service adds to a name: a time in milliseconds, or a hash. The number of a part is shorter."""


async def wait_for_video(
    client: Sender,
    video_no: str,
    *,
    unique_id: str = "default",
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # a deadline with an error that says how to go on
    interval: float = FIRST_INTERVAL,
) -> Video:
    """Wait until the video *video_no* can be searched. Free, and safe to repeat in any process.

    The answer is the `Video`, in status PARSE. The wait asks every *interval* seconds, growing to 30,
    and goes on while the service does not know the video yet or fails for a moment. With a receiver,
    the callback of the upload ends the wait sooner. *unique_id* is the scope of the upload.

    Raises `ProcessingFailed` if the service could not process the video, `WaitTimeout` after *timeout*
    seconds, and any lasting error of a request, such as `AuthenticationFailed`.
    """
    call = videos.metadata(video_no, unique_id=unique_id)
    settings = PollSettings(timeout, interval)
    return await wait_until_ready(client, call, video_no, settings, receiver=client.receiver)


async def wait_for_asset(
    client: Sender,
    asset_id: str,
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Wait until the asset *asset_id* can be used. Free, and safe to repeat in any process.

    The answer is the `Asset`, in status SUCCESS. The wait asks every *interval* seconds, growing to 30,
    and goes on while the service does not know the asset yet or fails for a moment.

    Raises `ProcessingFailed` if the service could not process the asset, `WaitTimeout` after *timeout*
    seconds, and any lasting error of a request, such as `AuthenticationFailed`.
    """
    call, settings = assets.metadata(asset_id), PollSettings(timeout, interval)
    return await wait_until_ready(client, call, asset_id, settings)


async def add_video(
    client: Sender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    tags: Iterable[str] = (),
    progress: Progress | None = None,
    fresh: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
    extra: Mapping[str, Any] | None = None,
    **options: Unpack[UploadOptions],
) -> Video:
    """Upload *file* into the library and wait until it can be searched.

    The answer is the `Video`, in status PARSE. The upload is billed by the length of the video. What is
    there already is not uploaded again unless *fresh* is true: with a ledger, a file of the same content
    that this account uploaded before; without one, a file that the library lists with this size and a
    name under which the service stores it, see `videos.find`.

    *file* is a path, bytes or a file open for bytes: .mp4, .avi, .mkv or .mov. *video_name* defaults to
    the name of the file, *unique_id* is a scope within the account, *progress* is called with the bytes
    sent and the bytes in all. *tags*, *options* and *extra* are those of `videos.upload`; they do not
    change a video that is there. *timeout* and *interval* are seconds, as in `videos.wait`.

    Raises `ValueError` for a file that the service would refuse; `UnclearUpload` if several videos of the
    library may be the file; `OutcomeUnknown` if the reply to the upload was lost (see
    `videos.reconcile`); `ProcessingFailed` if the service could not process the
    video, or has deleted one that the ledger remembers; `WaitTimeout` after *timeout* seconds of
    waiting; and any other `MemoriesError`.
    """
    track, settings = ProgressTracker(progress), PollSettings(timeout, interval)
    call = videos.upload(
        file,
        video_name=video_name,
        unique_id=unique_id,
        tags=tags,
        progress=track,
        extra=extra,
        **options,
    )
    video = None if fresh else await find_uploaded(client, call, unique_id)
    if video is None:
        video = await client.send(call, fresh=fresh)
    number = video.video_no
    question = videos.metadata(number, unique_id=unique_id)
    settings = track.adjust(settings)
    return await wait_until_ready(client, question, number, settings, receiver=client.receiver)


async def add_asset(
    client: Sender,
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    is_signed: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Upload *file* as an asset and wait until it can be used.

    The answer is the `Asset`, in status SUCCESS. With a ledger, a file of the same content that this
    account uploaded before is not uploaded again unless *fresh* is true; without a ledger, every call
    uploads another asset.

    *file* is a path, bytes or a file open for bytes, with the extension of a video. *filename* defaults
    to the name of the file, *progress* is called with the bytes sent and the bytes in all. *is_signed*
    sends a large file to the service's storage, see `assets.signed_upload`. *timeout* and *interval* are
    seconds, as in `assets.wait`.

    Raises `ValueError` for a file that is empty or not a video; `OutcomeUnknown` if the reply to the
    upload was lost; `ProcessingFailed` if the service could not process the asset, or has deleted one
    that the ledger remembers; `WaitTimeout` after *timeout* seconds of waiting; and any other
    `MemoriesError`.
    """
    track, settings = ProgressTracker(progress), PollSettings(timeout, interval)
    if is_signed:
        sent = await signed_upload(client, file, filename=filename, progress=track, fresh=fresh)
    else:
        call = assets.upload(file, filename=filename, progress=track)
        sent = await client.send(call, fresh=fresh)
    asset_id = sent.asset_id
    question = assets.metadata(asset_id)
    return await wait_until_ready(client, question, asset_id, track.adjust(settings))


async def delete_videos(
    client: Sender, video_nos: Iterable[str], *, unique_id: str = "default"
) -> None:
    """Delete any number of videos for good, 100 in each request. Free, and safe to repeat.

    Unknown ids, and videos that were deleted before, are no error. *unique_id* is the scope within the
    account. Raises `ValueError` or `TypeError` for an empty id, and any `MemoriesError` of a request;
    the videos of earlier requests are deleted then.
    """
    if isinstance(video_nos, str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    numbers = tuple(video_nos)
    for start in range(0, len(numbers), videos.MAX_DELETED):
        await _delete(client, numbers[start : start + videos.MAX_DELETED], unique_id)


async def _delete(client: Sender, video_nos: tuple[str, ...], unique_id: str) -> None:
    try:
        await client.send(videos.delete(video_nos, unique_id=unique_id))
    except Conflict:
        # Some were deleted before, and the reply does not say whether the others are.
        for video_no in video_nos if len(video_nos) > 1 else ():
            await _delete(client, (video_no,), unique_id)


async def find_uploaded(client: Sender, upload: Call[Video], unique_id: str) -> Video | None:
    """Find the video that *upload* would add again; None where a ledger decides that, or it is new.

    A video of the same size under a foreign name may be another film, and one that failed is no use.
    """
    if client._settings.ledger is not None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own package
        return None
    sent = upload.media[0]
    found = await _search_library(client, sent, unique_id)
    if found is None or found.failed or not is_stored_name(found.video_name or "", sent.name):
        return None
    return found


async def find_video(
    client: Sender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
) -> Video | None:
    """Find *file* in the library, without a ledger. Free, and safe to repeat.

    The answer is the `Video` of exactly this size whose name is one under which the service stores such
    a file: with or without extension, percent-encoded, with a number or hash before or after it, or
    replaced by a hash. A lone video of exactly this size is found under any name. None says that the
    library lists no video of this size, or not yet. *video_name* and *unique_id* are those of an upload.

    Raises `UnclearUpload` where several videos may be the file, or one whose size is not listed; and any
    `MemoriesError` of a request.
    """
    upload = videos.upload(file, video_name=video_name, unique_id=unique_id)
    return await _search_library(client, upload.media[0], unique_id)


async def _search_library(client: Sender, sent: media.Media, unique_id: str) -> Video | None:
    exact, unsized = list[Video](), list[Video]()
    # The service does not say what its filter by name compares, so the whole library is searched.
    following: Call[Page] | None = videos.list(unique_id=unique_id)
    while following is not None:
        page = await client.send(following)
        exact += (one for one in page.videos if one.size == sent.size)
        unsized += (one for one in page.videos if one.size is None)
        following = page.after(following)
    named = [one for one in exact if is_stored_name(one.video_name or "", sent.name)]
    candidates = (
        named or exact or [one for one in unsized if one.video_name in _list_names(sent.name)]
    )
    if not candidates or (len(candidates) == 1 and exact):
        return next(iter(candidates), None)
    what = (
        f"{len(candidates)} videos have its size" if exact else "a video has its name, and no size"
    )
    numbers = tuple(one.video_no for one in candidates)
    where = f"{what}: {', '.join(numbers)}"
    error = UnclearUpload(f"unclear whether {sent.label} is in the library: {where}")
    error.candidates = numbers
    raise error


def is_stored_name(stored: str, name: str) -> bool:
    """Whether the service may have stored a file called *name* under the name *stored*."""
    given = unquote(stored)
    if any(known in given for known in _list_names(name)):
        before, _, after = given.partition(name.rpartition(".")[0])
        added = f"{before}{after.removesuffix(Path(name).suffix)}"
        return not added or bool(_ADDED.fullmatch(added))
    return bool(_HASH.fullmatch(given.partition(".")[0]))


def _list_names(name: str) -> tuple[str, str]:
    return name, name.rpartition(".")[0]


async def reconcile(
    client: Sender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    **options: Unpack[UploadOptions],
) -> Video | None:
    """Find an upload whose outcome is unknown, and record it in the ledger. Free, and safe to repeat.

    The arguments are those given to `videos.upload`. If the library lists the upload, the answer is the
    `Video`, and the ledger records the upload as paid, so that it is reused from then on. None means
    that the library does not list it, or not yet; `Ledger.settle` or `Ledger.retry` then allows to send
    it again. Raises `UnclearUpload` where several videos may be the upload, and any `MemoriesError` of a
    request; nothing is recorded then.
    """
    found = await find_video(client, file, video_name=video_name, unique_id=unique_id)
    if found is not None:
        call = videos.upload(
            file,
            video_name=video_name,
            unique_id=unique_id,
            callback=callback,
            tags=tags,
            extra=extra,
            **options,
        )
        await client.settle(call, answer=found)
    return found
