"""Limits that the documentation states for files and forms. Values only."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.state.forms import MEGABYTE

__all__ = ["PageLimits"]


@frozen(kw_only=True)
class PageLimits:
    """Limits of the pages "Search Clips by Image", "Video Caption" and "Upload": bytes and seconds."""

    image_size: int = 20 * MEGABYTE
    video_size: int = 20 * MEGABYTE
    """Of a video to be captioned."""
    shortest: float = 20.0
    """Shortest duration of a video to be captioned."""
    longest: float = 300.0
    """Longest duration of a video to be captioned."""
    persons: int = 5
    """Reference persons of one caption."""
    upload_size: int = 3 * 1024 * MEGABYTE
    """Of a file for the video library. The asset page states no limit; assets get the same."""
    url_size: int = 1024 * MEGABYTE
    """Of a video that the library fetches by URL."""
    callback_length: int = 299
    """Characters of an upload's callback URL."""
    tags: int = 20
    """Tags of one upload."""
