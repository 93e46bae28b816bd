"""The limits that the pages state, each of which has changed before. Values only."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.forms import MEGABYTE

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
