"""Captions in one step: submit a video, then wait for its callback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from memories_async import captions, media
from memories_async._client.sender import Sender
from memories_async._protocol.call import Call
from memories_async.captions import Caption, CaptionTask, Person
from memories_async.errors import CallbackTimeout, OutcomeUnknown

TIMEOUT = 600.0
"""Seconds to wait for a callback. The service documents no limit."""


async def caption(
    client: Sender,
    video_url: str,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_persons: int | None = captions.MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
    timeout: float | None = TIMEOUT,  # noqa: ASYNC109  # the name that the design fixed
) -> Caption:
    """Submit the video at *video_url* and wait until the receiver has its caption.

    The answer is a `Caption`. A success is billed as one caption. A repeat is not safe: it submits
    another task, which is billed again. The client needs a receiver that serves.

    The arguments are those of `captions.upload`; *timeout* is in seconds from the submission (None: no
    limit). Raises what `captions.upload` and `receiver.wait` raise; after a `CallbackTimeout`,
    `receiver.wait` can go on waiting for the task.
    """
    call = captions.upload(
        video_url,
        user_prompt=user_prompt,
        system_prompt=system_prompt,
        persons=persons,
        thinking=thinking,
        reasoning_effort=reasoning_effort,
        qa=qa,
        max_persons=max_persons,
        extra=extra,
        tag=tag,
    )
    return await wait_for_caption(client, await submit(client, call), timeout)


async def caption_file(
    client: Sender,
    video: media.Source,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_video_size: int | None = captions.MAX_VIDEO_SIZE,
    max_persons: int | None = captions.MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
    timeout: float | None = TIMEOUT,  # noqa: ASYNC109  # the name that the design fixed
) -> Caption:
    """Submit the video file *video* and wait until the receiver has its caption.

    The answer is a `Caption`. A success is billed as one caption. A repeat is not safe: it submits
    another task, which is billed again. The client needs a receiver that serves.

    The arguments are those of `captions.upload_file`; *timeout* is in seconds from the submission (None:
    no limit). Raises what `captions.upload_file` and `receiver.wait` raise; after a `CallbackTimeout`,
    `receiver.wait` can go on waiting for the task.
    """
    call = captions.upload_file(
        video,
        user_prompt=user_prompt,
        system_prompt=system_prompt,
        persons=persons,
        thinking=thinking,
        reasoning_effort=reasoning_effort,
        qa=qa,
        max_video_size=max_video_size,
        max_persons=max_persons,
        extra=extra,
        tag=tag,
    )
    return await wait_for_caption(client, await submit(client, call), timeout)


async def submit(client: Sender, call: Call[CaptionTask]) -> CaptionTask | OutcomeUnknown:
    """Submit a video; return what the receiver can wait for."""
    try:
        return await client.send(call)
    except OutcomeUnknown as lost:
        # The reply is lost, but the service may have accepted the task, and call back.
        if lost.callback is None:
            raise
        return lost


async def wait_for_caption(
    client: Sender, task: CaptionTask | OutcomeUnknown, seconds: float | None
) -> Caption:
    """Wait for a caption. Raises the lost submission where its callback does not come either."""
    receiver = client.receiver
    assert receiver is not None  # or nothing would have been sent
    try:
        return await receiver.wait(task, timeout=seconds)
    except CallbackTimeout:
        if isinstance(task, OutcomeUnknown):
            raise task from None
        raise
