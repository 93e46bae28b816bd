"""The limits that the pages state, each of which has changed before. Values only."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.state.forms import MEGABYTE

__all__ = ["Rules"]


@frozen(kw_only=True)
class Rules:
    """Sizes in bytes, durations in seconds."""

    image_size: int = 20 * MEGABYTE
    video_size: int = 20 * MEGABYTE
    shortest: float = 20.0
    """A captioned video's shortest duration."""
    longest: float = 300.0
    persons: int = 5
    upload_size: int = 3 * 1024 * MEGABYTE
    """Of a file for the video library; the asset page states none, and gets the same."""
    url_size: int = 1024 * MEGABYTE
    """Of a video that the library fetches."""
    callback_length: int = 299
    """Characters of an upload's callback."""
    tags: int = 20
