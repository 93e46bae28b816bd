"""From a file to something that can be asked about: flows of several calls over any client.

Each is a coroutine function whose first parameter is the client, so that the views can offer it in
both forms. A wait polls inside the family's rate, ends by its deadline at the latest, and can be
taken up again by any process, for all it needs is the id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol, TypeVar

from memories_async import assets, clips, embeddings, media, videos
from memories_async._calls import Call, Progress
from memories_async._ports import AsyncSender
from memories_async.assets import Asset
from memories_async.clips import Clip
from memories_async.embeddings import Embedding
from memories_async.errors import NotSent, OutcomeUnknown, ProcessingFailed, WaitTimeout
from memories_async.videos import Page, Video

FIRST_INTERVAL = 5.0
"""Seconds between the first two looks; the service's own code looks so often."""
GROWTH = 1.5
LONGEST_INTERVAL = 30.0
TIMEOUT = 1800.0
"""Seconds that a wait takes at most by default."""


class Processed(Protocol):
    """What the service works on after an upload."""

    @property
    def ready(self) -> bool: ...

    @property
    def failed(self) -> bool: ...


S = TypeVar("S", bound=Processed)


async def wait_for_video(
    client: AsyncSender,
    video_no: str,
    *,
    unique_id: str = "default",
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # a deadline with an error that says how to go on
    interval: float = FIRST_INTERVAL,
) -> Video:
    """Wait until *video_no* can be searched; free.

    Looks every *interval* seconds, growing to half a minute, and goes on through replies that do
    not know the video yet. Raises `ProcessingFailed` as soon as the service says so, `WaitTimeout`
    after *timeout* seconds, and what asking raises, such as `AuthenticationFailed`.
    """
    question = videos.metadata(video_no, unique_id=unique_id)
    return await _settled(client, question, video_no, timeout=timeout, interval=interval)


async def wait_for_asset(
    client: AsyncSender,
    asset_id: str,
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Wait until *asset_id* can be used; free. As `videos.wait`."""
    question = assets.metadata(asset_id)
    return await _settled(client, question, asset_id, timeout=timeout, interval=interval)


async def add_video(
    client: AsyncSender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    progress: Progress | None = None,
    fresh: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Video:
    """Upload *file* into the library and wait until it can be searched.

    Billed once: with a ledger, a file of the same content that this account uploaded before is not
    uploaded again, unless *fresh*. Without one, every call uploads.
    """
    call = videos.upload(file, video_name=video_name, unique_id=unique_id, progress=progress)
    video = await client.send(call, fresh=fresh)
    return await wait_for_video(
        client, video.video_no, unique_id=unique_id, timeout=timeout, interval=interval
    )


async def add_asset(
    client: AsyncSender,
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Upload *file* as an asset and wait until it can be used. As `videos.add`."""
    call = assets.upload(file, filename=filename, progress=progress)
    asset = await client.send(call, fresh=fresh)
    return await wait_for_asset(client, asset.asset_id, timeout=timeout, interval=interval)


async def delete_videos(
    client: AsyncSender, video_nos: Iterable[str], *, unique_id: str = "default"
) -> None:
    """Delete any number of videos, a hundred a request; free, final."""
    if isinstance(video_nos, str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    rest = tuple(video_nos)
    while rest:
        now, rest = rest[: videos.MAX_DELETED], rest[videos.MAX_DELETED :]
        await client.send(videos.delete(now, unique_id=unique_id))


async def find_upload(
    client: AsyncSender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
) -> Video | None:
    """Look for *file* in the library by its name and size; free.

    This is how to learn what became of an upload whose outcome is unknown: a video that is found
    was taken (and billed), and None means that it is not in the library (yet).
    """
    sent = videos.upload(file, video_name=video_name, unique_id=unique_id).media[0]
    following: Call[Page] | None = videos.list(video_name=sent.name, unique_id=unique_id)
    while following is not None:
        page = await client.send(following)
        for video in page.videos:
            if video.video_name == sent.name and video.size in {None, sent.size}:
                return video
        following = page.after(following)
    return None


async def search_file(
    client: AsyncSender,
    image: media.Source,
    *,
    video: media.Source,
    prompt: str,
    unique_id: str = "default",
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
) -> tuple[Clip, ...]:
    """Add a *video* file, or reuse it, wait for it, and search it for *image* and *prompt*.

    Billed as `videos.add` and `clips.search` together.
    """
    # Built first, so that a bad picture or prompt is known before an upload is paid.
    clips.search(image, prompt=prompt, video_no="later", unique_id=unique_id)
    added = await add_video(client, video, unique_id=unique_id, timeout=timeout)
    question = clips.search(image, prompt=prompt, video_no=added.video_no, unique_id=unique_id)
    return await client.send(question)


async def embed_file(
    client: AsyncSender,
    file: media.Source,
    *,
    model: str = embeddings.DEFAULT_MODEL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
) -> Embedding:
    """Add a video *file*, or reuse it, wait for it, and embed it. Billed as both together."""
    embeddings.video("later", model=model)
    added = await add_asset(client, file, timeout=timeout)
    return await client.send(embeddings.video(added.asset_id, model=model))


async def _settled(
    client: AsyncSender,
    question: Call[S | None],
    name: str,
    *,
    timeout: float,  # noqa: ASYNC109  # as above
    interval: float,
) -> S:
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    while True:
        found = await _asked(client, question)
        if found is not None and found.ready:
            return found
        if found is not None and found.failed:
            reason = getattr(found, "cause", None) or "no reason given"
            raise ProcessingFailed(f"{name} could not be processed: {reason}", call=question.name)
        if clock() + interval >= deadline:
            raise WaitTimeout(
                f"{name} is not ready after {timeout:.0f} s; wait for it again later, "
                "here or in another process",
                call=question.name,
            )
        await asyncio.sleep(interval)
        interval = min(interval * GROWTH, LONGEST_INTERVAL)


async def _asked(client: AsyncSender, question: Call[S | None]) -> S | None:
    try:
        return await client.send(question)
    except (NotSent, OutcomeUnknown) as error:
        # A network that is gone for a moment is no reason to give up a wait of minutes.
        if not error.transient:
            raise
        return None
