"""Captions in one step: submit, then wait for the callback. Both clients run these flows."""

from __future__ import annotations

from collections.abc import Iterable

from memories_async import captions, media
from memories_async._client.sender import Sender
from memories_async._protocol.call import Call
from memories_async.captions import Caption, CaptionTask, Person
from memories_async.errors import CallbackTimeout, OutcomeUnknown

TIMEOUT = 600.0
"""Seconds to wait for a callback; the service states none."""


async def caption(
    client: Sender,
    video_url: str,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    max_persons: int | None = captions.MAX_PERSONS,
    timeout: float | None = TIMEOUT,  # noqa: ASYNC109  # the name that the design fixed
) -> Caption:
    """Submit the video at *video_url* and wait until its caption has come to the receiver.

    Costs and arguments as `upload`. Raises what `upload` and `receiver.wait` raise, *timeout* being
    in seconds from the submission; after a `CallbackTimeout` the task can still be waited for.
    """
    call = captions.upload(
        video_url,
        user_prompt=user_prompt,
        system_prompt=system_prompt,
        persons=persons,
        thinking=thinking,
        max_persons=max_persons,
    )
    return await _awaited(client, call, timeout)


async def caption_file(
    client: Sender,
    video: media.Source,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    max_video_size: int | None = captions.MAX_VIDEO_SIZE,
    max_persons: int | None = captions.MAX_PERSONS,
    timeout: float | None = TIMEOUT,  # noqa: ASYNC109  # the name that the design fixed
) -> Caption:
    """Submit a video from this machine and wait until its caption has come to the receiver.

    Costs and arguments as `upload_file`; otherwise as `caption`.
    """
    call = captions.upload_file(
        video,
        user_prompt=user_prompt,
        system_prompt=system_prompt,
        persons=persons,
        thinking=thinking,
        max_video_size=max_video_size,
        max_persons=max_persons,
    )
    return await _awaited(client, call, timeout)


async def _awaited(client: Sender, call: Call[CaptionTask], seconds: float | None) -> Caption:
    task: CaptionTask | OutcomeUnknown
    try:
        task = await client.send(call)
    except OutcomeUnknown as lost:
        # The reply is lost, the task perhaps not: its callback would prove it.
        if lost.callback is None:
            raise
        task = lost
    receiver = client.receiver
    assert receiver is not None  # or nothing would have been sent
    try:
        return await receiver.wait(task, timeout=seconds)
    except CallbackTimeout:
        if isinstance(task, OutcomeUnknown):
            raise task from None
        raise
