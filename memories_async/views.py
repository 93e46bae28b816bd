"""The clients' methods, in groups: `client.clips`, `client.captions`, `client.embeddings` and so on.

On `memories_async.Client` they are awaited, on `memories_async.blocking.Client` they block. Names,
arguments, answers and errors are the same.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from memories_async import assets, captions, clips, embeddings, videos
from memories_async._client.loop_thread import LoopThread
from memories_async._client.methods import (
    Awaited,
    Blocking,
    EndpointMethod,
    FlowMethod,
    PagerMethod,
    View,
)
from memories_async._client.sender import Sender
from memories_async._flows import captions as caption_flows
from memories_async._flows import library, long_captions, signed_uploads

S = TypeVar("S")


class Clips(View[S]):
    """Search Clips by Image: find the moments of a video that an image and a prompt describe."""

    search: Final = EndpointMethod(clips.search)
    search_file: Final = EndpointMethod(clips.search_file)


class Captions(View[S]):
    """Video Caption: have a video described; the text arrives by callback, or in the reply."""

    upload: Final = EndpointMethod(captions.upload)
    upload_file: Final = EndpointMethod(captions.upload_file)
    upload_sync: Final = EndpointMethod(captions.upload_sync)
    upload_file_sync: Final = EndpointMethod(captions.upload_file_sync)
    caption: Final = FlowMethod(caption_flows.caption)
    caption_file: Final = FlowMethod(caption_flows.caption_file)
    caption_long: Final = FlowMethod(long_captions.caption_long)
    plan_long: Final = FlowMethod(long_captions.plan_long)


class Embeddings(View[S]):
    """Generate Video Embedding: one vector for a whole video or a picture."""

    video: Final = EndpointMethod(embeddings.video)
    image: Final = EndpointMethod(embeddings.image)
    video_file: Final = EndpointMethod(embeddings.video_file)


class Videos(View[S]):
    """The v1 video library, in which clips are searched."""

    upload: Final = EndpointMethod(videos.upload)
    upload_url: Final = EndpointMethod(videos.upload_url)
    metadata: Final = EndpointMethod(videos.metadata)
    details: Final = EndpointMethod(videos.details)
    download: Final = EndpointMethod(videos.download)
    download_blob: Final = EndpointMethod(videos.download_blob)
    list: Final = PagerMethod(
        videos.list,
        """Iterate over the videos of the library; free.

        *size* is the number of videos in one request, 1 to 200; *page* is the first page, from 1.
        *filters* are those of `videos.ListFilters`: `video_name`, `video_no`, `video_nos`, `status`,
        `tag`, `folder_id`, `camera_model`, `datetime_taken`, `latitude` and `longitude`. A page is
        requested when the iteration reaches it. Raises `ValueError` or `TypeError` for a *page* or
        *size* out of range or a filter that cannot be sent, and while iterating what a request raises,
        such as `AuthenticationFailed`. (memories.ai docs, "List Videos")
        """,
    )
    delete: Final = FlowMethod(library.delete_videos)
    add: Final = FlowMethod(library.add_video)
    wait: Final = FlowMethod(library.wait_for_video)
    find: Final = FlowMethod(library.find_video)
    reconcile: Final = FlowMethod(library.reconcile)


class Assets(View[S]):
    """The v2 asset store, whose videos are embedded."""

    upload: Final = EndpointMethod(assets.upload)
    metadata: Final = EndpointMethod(assets.metadata)
    delete: Final = EndpointMethod(assets.delete)
    download: Final = EndpointMethod(assets.download)
    signed_url: Final = EndpointMethod(assets.signed_url)
    send_to: Final = EndpointMethod(assets.send_to)
    signed_upload: Final = FlowMethod(signed_uploads.signed_upload)
    add: Final = FlowMethod(library.add_asset)
    wait: Final = FlowMethod(library.wait_for_asset)


class Endpoints(Generic[S]):
    """The groups of methods that both clients offer."""

    def _bind(self) -> tuple[Sender, LoopThread | None]:
        """Return what sends the calls, and the thread on which to wait for them, if any."""
        raise NotImplementedError

    @property
    def clips(self) -> Clips[S]:
        """Search the clips of a video by a picture and a prompt."""
        return Clips(*self._bind())

    @property
    def captions(self) -> Captions[S]:
        """Caption videos: the text comes in the reply, or by callback."""
        return Captions(*self._bind())

    @property
    def embeddings(self) -> Embeddings[S]:
        """Embed videos and pictures as vectors."""
        return Embeddings(*self._bind())

    @property
    def videos(self) -> Videos[S]:
        """Upload, list, download and delete the videos that are searched: those with a `video_no`."""
        return Videos(*self._bind())

    @property
    def assets(self) -> Assets[S]:
        """Upload, download and delete the videos that are embedded: those with an `asset_id`."""
        return Assets(*self._bind())


__all__ = [
    "Assets",
    "Awaited",
    "Blocking",
    "Captions",
    "Clips",
    "Embeddings",
    "Endpoints",
    "Videos",
]
