"""Search Clips by Image: finds the clips of one video that match a picture and a prompt.

memories.ai docs, "Search Clips by Image" (`POST /serve/api/v1/search_clips_by_image`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import field, fields, frozen

from memories_async import media, videos
from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_id, check_text
from memories_async._protocol.call import Call, Form, Part
from memories_async._protocol.decode import converter, is_empty, split_fields
from memories_async._protocol.flow import FIRST_INTERVAL, LATER, TIMEOUT, Flow
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_IMAGE_SIZE = 20 * media.MB
"""Bytes allowed for a query image (memories.ai docs, "Search Clips by Image")."""


@frozen(kw_only=True, slots=False)
class Clip(Value):
    """A time range of a video that matches the query."""

    start_time: float
    """Seconds from the beginning."""
    end_time: float
    """Seconds from the beginning."""
    score: float
    """Similarity to the query, from 0 to 1."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields that the page does not describe, such as `video_bucket` and `video_blob`."""


def search(
    image: media.Source,
    *,
    prompt: str,
    video_no: str,
    unique_id: str = "default",
    max_image_size: int | None = MAX_IMAGE_SIZE,
    extra: Mapping[str, Any] | None = None,
) -> Call[tuple[Clip, ...]]:
    """Find the clips of the video *video_no* that match *image*, refined by *prompt*.

    The answer is a tuple of `Clip`, empty if nothing matches: start and end in seconds, score from 0
    to 1. A success is billed as one search. A repeat is safe: it gives the same answer and is billed
    again.

    *image* is a path, bytes or a file open for bytes: .jpg, .jpeg, .png, .gif, .bmp or .webp, at most
    *max_image_size* bytes (None removes the limit). *prompt* says what to look for or to ignore, such
    as "focus on the red shirt"; English works best. The video must be in PARSE status, see
    `videos.wait`. *unique_id* is the scope within the account that the video was uploaded to. *extra*
    are further fields of the request.

    Building the call raises `ValueError` or `TypeError` for an image or a text that the service would
    refuse. Sending it raises `InvalidRequest` for an unknown video, and any other `MemoriesError`.
    See memories.ai docs, "Search Clips by Image".
    """
    fields = {"video_no": video_no, "prompt": prompt, "unique_id": unique_id}
    check_id("video_no", video_no, "clips.search_file takes a file, videos.upload_url a URL")
    picture = media.prepare_image("image", image, name="query", max_size=max_image_size)
    parts = [
        Part("file", picture),
        *(Part(name, check_text(name, fields[name])) for name in fields),
    ]
    call = Call(
        name="clips.search",
        host=Host.SEARCH,
        path="/serve/api/v1/search_clips_by_image",
        body=Form(tuple(parts)),
        family="search",
        unit="search",
        repeatable=True,
        decode=_read_clips,
    )
    return call.with_extra(extra)


def search_file(
    image: media.Source,
    *,
    video: media.Source,
    prompt: str,
    unique_id: str = "default",
    timeout: float = TIMEOUT,
    interval: float = FIRST_INTERVAL,
) -> Flow[tuple[Clip, ...]]:
    """Upload the *video* file, wait until it can be searched, and find *image* and *prompt* in it.

    The answer is a tuple of `Clip`: start and end in seconds, score from 0 to 1. The upload and the
    search are billed, each once; with a ledger, a video of the same content is not uploaded again, and
    the same search is answered from the ledger.

    *image* and *video* are paths, bytes or files open for bytes. *prompt* says what to look for or to
    ignore. *unique_id* is a scope within the account. *timeout* and *interval* are seconds, as in
    `videos.wait`. Building the flow raises what building `videos.upload` and `search` raises; sending
    it raises what `videos.add` and `search` raise.
    """
    return Flow(
        name="clips.search_file",
        upload=videos.upload(video, unique_id=unique_id),
        call=search(image, prompt=prompt, video_no=LATER, unique_id=unique_id),
        id_field="video_no",
        ask=partial(videos.metadata, unique_id=unique_id),
        timeout=timeout,
        interval=interval,
    )


def _read_clips(data: Any) -> tuple[Clip, ...]:
    if is_empty(data):
        return ()
    if not wire_json.is_array(data):
        raise TypeError("data must be a list of clips")
    return converter.structure([split_fields(one, _NAMES, {}) for one in data], tuple[Clip, ...])


_NAMES = frozenset(attribute.name for attribute in fields(Clip)) - {"extra"}
