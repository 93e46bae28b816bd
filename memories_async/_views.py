"""The clients' methods: one line for each endpoint, one class for each form."""

from __future__ import annotations

from typing import Final

from memories_async import _captioning, _library, assets, captions, clips, embeddings, videos
from memories_async._methods import AsyncView, BlockingView, Paged, Ran, Sent


class _Clips:
    search: Final = Sent(clips.search)
    search_file: Final = Ran(_library.search_file)


class _Captions:
    upload: Final = Sent(captions.upload)
    upload_file: Final = Sent(captions.upload_file)
    caption: Final = Ran(_captioning.caption)
    caption_file: Final = Ran(_captioning.caption_file)


class _Embeddings:
    video: Final = Sent(embeddings.video)
    video_file: Final = Ran(_library.embed_file)


class _Videos:
    upload: Final = Sent(videos.upload)
    upload_url: Final = Sent(videos.upload_url)
    metadata: Final = Sent(videos.metadata)
    list: Final = Paged(videos.list)
    delete: Final = Ran(_library.delete_videos)
    add: Final = Ran(_library.add_video)
    wait: Final = Ran(_library.wait_for_video)
    find_upload: Final = Ran(_library.find_upload)
    reconcile: Final = Ran(_library.reconcile)


class _Assets:
    upload: Final = Sent(assets.upload)
    metadata: Final = Sent(assets.metadata)
    delete: Final = Sent(assets.delete)
    download: Final = Sent(assets.download)
    add: Final = Ran(_library.add_asset)
    wait: Final = Ran(_library.wait_for_asset)


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
