"""The clients' methods: one line for each endpoint, one class for each form."""

from __future__ import annotations

from typing import Final

from memories_async import assets, captions, clips, embeddings, videos
from memories_async._client.methods import AsyncView, BlockingView, Paged, Ran, Sent
from memories_async._flows import captions as caption_flows
from memories_async._flows import library


class _Clips:
    search: Final = Sent(clips.search)
    search_file: Final = Ran(library.search_file)


class _Captions:
    upload: Final = Sent(captions.upload)
    upload_file: Final = Sent(captions.upload_file)
    caption: Final = Ran(caption_flows.caption)
    caption_file: Final = Ran(caption_flows.caption_file)


class _Embeddings:
    video: Final = Sent(embeddings.video)
    video_file: Final = Ran(library.embed_file)


class _Videos:
    upload: Final = Sent(videos.upload)
    upload_url: Final = Sent(videos.upload_url)
    metadata: Final = Sent(videos.metadata)
    list: Final = Paged(videos.list)
    delete: Final = Ran(library.delete_videos)
    add: Final = Ran(library.add_video)
    wait: Final = Ran(library.wait_for_video)
    find_upload: Final = Ran(library.find_upload)
    reconcile: Final = Ran(library.reconcile)


class _Assets:
    upload: Final = Sent(assets.upload)
    metadata: Final = Sent(assets.metadata)
    delete: Final = Sent(assets.delete)
    download: Final = Sent(assets.download)
    add: Final = Ran(library.add_asset)
    wait: Final = Ran(library.wait_for_asset)


class Clips(_Clips, AsyncView):
    """Search Clips by Image."""


class Captions(_Captions, AsyncView):
    """Video Caption."""


class Embeddings(_Embeddings, AsyncView):
    """Generate Video Embedding."""


class Videos(_Videos, AsyncView):
    """The v1 video library."""


class Assets(_Assets, AsyncView):
    """The v2 asset store."""


class BlockingClips(_Clips, BlockingView):
    """Search Clips by Image."""


class BlockingCaptions(_Captions, BlockingView):
    """Video Caption."""


class BlockingEmbeddings(_Embeddings, BlockingView):
    """Generate Video Embedding."""


class BlockingVideos(_Videos, BlockingView):
    """The v1 video library."""


class BlockingAssets(_Assets, BlockingView):
    """The v2 asset store."""
