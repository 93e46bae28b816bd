"""From a file to something that can be asked about: flows of several calls over any client.

Each is a coroutine function whose first parameter is the client, so that the views can offer it in
both forms.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from memories_async import assets, clips, embeddings, media, videos
from memories_async._client.sender import Sender
from memories_async._flows import polling
from memories_async._flows.polling import FIRST_INTERVAL, TIMEOUT, Patience, settled
from memories_async._protocol.call import Call, Progress
from memories_async.assets import Asset
from memories_async.clips import Clip
from memories_async.embeddings import Embedding
from memories_async.errors import Conflict
from memories_async.videos import Page, Video


async def wait_for_video(
    client: Sender,
    video_no: str,
    *,
    unique_id: str = "default",
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # a deadline with an error that says how to go on
    interval: float = FIRST_INTERVAL,
) -> Video:
    """Wait until *video_no* can be searched; free.

    Looks every *interval* seconds, growing to half a minute, and goes on through replies that do
    not know the video yet and through failures that pass; with a receiver, the upload's callback
    ends the wait. Raises `ProcessingFailed` as soon as the service says so, `WaitTimeout` after
    *timeout* seconds at the latest, and what asking raises, such as `AuthenticationFailed`.
    """
    question = videos.metadata(video_no, unique_id=unique_id)
    patience = Patience(timeout, interval)
    return await settled(client, question, video_no, patience, bell=client.receiver)


async def wait_for_asset(
    client: Sender,
    asset_id: str,
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Wait until *asset_id* can be used; free. As `videos.wait`."""
    question = assets.metadata(asset_id)
    return await settled(client, question, asset_id, Patience(timeout, interval))


async def add_video(
    client: Sender,
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
    uploaded again, unless *fresh*. Without one, every call uploads. Raises `ProcessingFailed` where
    the library has lost what the ledger remembers, and `OutcomeUnknown` as `videos.upload` does:
    then see `videos.reconcile`.
    """
    meter, patience = _Meter(progress), Patience(timeout, interval)
    call = videos.upload(file, video_name=video_name, unique_id=unique_id, progress=meter)
    video = await client.send(call, fresh=fresh)
    question = videos.metadata(video.video_no, unique_id=unique_id)
    patience = meter.patience(patience)
    return await settled(client, question, video.video_no, patience, bell=client.receiver)


async def add_asset(
    client: Sender,
    file: media.Source,
    *,
    filename: str | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Asset:
    """Upload *file* as an asset and wait until it can be used. As `videos.add`."""
    meter, patience = _Meter(progress), Patience(timeout, interval)
    call = assets.upload(file, filename=filename, progress=meter)
    asset = await client.send(call, fresh=fresh)
    question = assets.metadata(asset.asset_id)
    return await settled(client, question, asset.asset_id, meter.patience(patience))


async def delete_videos(
    client: Sender, video_nos: Iterable[str], *, unique_id: str = "default"
) -> None:
    """Delete any number of videos, a hundred a request; free, final.

    Unknown ones, and those that were deleted before, are no error.
    """
    if isinstance(video_nos, str):
        raise TypeError("video_nos must be several ids, such as [video_no], not one str")
    rest = tuple(video_nos)
    while rest:
        now, rest = rest[: videos.MAX_DELETED], rest[videos.MAX_DELETED :]
        await _delete(client, now, unique_id)


async def _delete(client: Sender, video_nos: tuple[str, ...], unique_id: str) -> None:
    try:
        await client.send(videos.delete(video_nos, unique_id=unique_id))
    except Conflict:
        # Some were deleted before, and nobody says what became of the others.
        for video_no in video_nos if len(video_nos) > 1 else ():
            await _delete(client, (video_no,), unique_id)


async def find_upload(
    client: Sender,
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
    # No page says whether a name is kept, and filtered by, with its extension: so look at all, too.
    for name in (sent.name, None):
        following: Call[Page] | None = videos.list(video_name=name, unique_id=unique_id)
        while following is not None:
            page = await client.send(following)
            for video in page.videos:
                if _is_of(sent, video):
                    return video
            following = page.after(following)
    return None


def _is_of(sent: media.Media, video: Video) -> bool:
    names = {sent.name, sent.name.rpartition(".")[0]}
    return video.video_name in names and video.size in {None, sent.size}


async def reconcile(
    client: Sender,
    file: media.Source,
    *,
    video_name: str | None = None,
    unique_id: str = "default",
    callback: str | None = None,
    tags: Iterable[str] = (),
) -> Video | None:
    """Find out what became of an upload whose outcome is unknown, and tell the ledger; free.

    Takes what `videos.upload` was given. A video that `find_upload` finds settles the upload as
    paid: from then on it is reused. None says that it is not in the library, perhaps only yet; the
    ledger's `settle` or `retry` lets it be sent again.
    """
    found = await find_upload(client, file, video_name=video_name, unique_id=unique_id)
    if found is not None:
        call = videos.upload(
            file, video_name=video_name, unique_id=unique_id, callback=callback, tags=tags
        )
        await client.settle(call, answer=found)
    return found


async def search_file(
    client: Sender,
    image: media.Source,
    *,
    video: media.Source,
    prompt: str,
    unique_id: str = "default",
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> tuple[Clip, ...]:
    """Add a *video* file, or reuse it, wait for it, and search it for *image* and *prompt*.

    Billed as `videos.add` and `clips.search` together.
    """
    # Built first, so that a bad picture or prompt is known before an upload is paid.
    clips.search(image, prompt=prompt, video_no="later", unique_id=unique_id)
    added = await add_video(client, video, unique_id=unique_id, timeout=timeout, interval=interval)
    question = clips.search(image, prompt=prompt, video_no=added.video_no, unique_id=unique_id)
    return await client.send(question)


async def embed_file(
    client: Sender,
    file: media.Source,
    *,
    model: str = embeddings.DEFAULT_MODEL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109  # as above
    interval: float = FIRST_INTERVAL,
) -> Embedding:
    """Add a video *file*, or reuse it, wait for it, and embed it. Billed as both together."""
    embeddings.video("later", model=model)
    added = await add_asset(client, file, timeout=timeout, interval=interval)
    return await client.send(embeddings.video(added.asset_id, model=model))


@define
class _Meter:
    """An upload's progress, which tells whether anything was uploaded at all."""

    progress: Progress | None
    moved: bool = field(default=False, init=False)

    def __call__(self, sent: int, size: int) -> None:
        self.moved = True
        if self.progress is not None:
            self.progress(sent, size)

    def patience(self, patience: Patience) -> Patience:
        """Wait less for what the ledger remembers: it was known, and may have been deleted."""
        return patience if self.moved else evolve(patience, unknown=polling.PATIENCE)
