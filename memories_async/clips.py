"""Search Clips by Image: find the stretches of one video that match a picture and a prompt.

Source: seed page "Search Clips by Image" (`POST /serve/api/v1/search_clips_by_image`).
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.call import Call, Form, Part, check_text
from memories_async._protocol.decode import converter, is_empty
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_IMAGE_SIZE = 20 * media.MB
"""Bytes that the page allows for a query image."""


@frozen(kw_only=True, slots=False)
class Clip(Value):
    """A stretch of a video."""

    start_time: float
    """Seconds from the beginning."""
    end_time: float
    """Seconds from the beginning."""
    score: float
    """Likeness, 0 to 1."""


def search(
    image: media.Source,
    *,
    prompt: str,
    video_no: str,
    unique_id: str = "default",
    max_image_size: int | None = MAX_IMAGE_SIZE,
) -> Call[tuple[Clip, ...]]:
    """Find the clips of *video_no* that match *image*, steered by *prompt* (English works best).

    Costs one search when it succeeds; asking again gives the same answer at the same price. The
    video must be in PARSE status. No match is an empty tuple. *unique_id* is the scope of the video
    within the account. *max_image_size* (bytes) is the page's limit; None lifts it. Raises
    `ValueError` for what the page refuses: an empty prompt or id, an empty, large or foreign image.
    """
    fields = {"video_no": video_no, "prompt": prompt, "unique_id": unique_id}
    picture = media.prepare_image("image", image, name="query", max_size=max_image_size)
    parts = [
        Part("file", picture),
        *(Part(name, check_text(name, fields[name])) for name in fields),
    ]
    return Call(
        name="clips.search",
        host=Host.SEARCH,
        path="/serve/api/v1/search_clips_by_image",
        body=Form(tuple(parts)),
        family="search",
        unit="search",
        repeatable=True,
        decode=_clips,
    )


def _clips(data: Any) -> tuple[Clip, ...]:
    if is_empty(data):
        return ()
    if not wire_json.is_array(data):
        raise TypeError("data must be a list of clips")
    return converter.structure(data, tuple[Clip, ...])
