"""Video Caption: describes a video and recognises people in it by reference pictures.

The answer to a submission is a task. The caption itself arrives in a POST to the callback URL.
memories.ai docs, "Video Caption" (`POST /v1/understand/upload` and `/v1/understand/uploadFile`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote

from attrs import field, frozen

from memories_async import media
from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_text
from memories_async._protocol.call import Call, Form, Json
from memories_async._protocol.caption_request import (
    MAX_EFFORT,
    MAX_IMAGE_SIZE,
    MAX_PERSONS,
    MAX_VIDEO_SIZE,
    OPTIONAL_NAMES,
    PATHS,
    Person,
    Prompts,
    check_persons,
    describe_file,
    describe_url,
)
from memories_async._protocol.decode import converter
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

T = TypeVar("T")

PATIENCE = 600.0
"""Seconds for the work on a video whose caption is in the reply. The service documents none."""


@frozen(slots=False)
class CaptionTask(Value):
    """An accepted submission. Its caption arrives by callback.

    `str(task)` is printable ASCII to store anywhere, and `CaptionTask.parse` reads it.
    """

    task_id: str
    tag: str | None = field(default=None, eq=False, kw_only=True)
    """The caller's own id of the submission; see `captions.upload`."""

    def __str__(self) -> str:
        return quote(self.task_id, safe="-._~:/+=,;@!")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the task that `str(task)` wrote; raise `ValueError` for other text."""
        if not text or not text.isascii() or not text.isprintable():
            raise ValueError(f"a task must be written as str(task) writes it, not {text!r}")
        return cls(unquote(text, errors="strict"))


@frozen(kw_only=True, slots=False)
class Tokens(Value):
    """Tokens that the service read and wrote for a caption."""

    input: int
    output: int
    total: int


@frozen(kw_only=True, slots=False)
class Caption(Value):
    """A finished caption."""

    text: str
    tokens: Tokens | None = None
    """None if the service did not report them."""
    tag: str | None = field(default=None, eq=False)
    """The caller's own id of the submission; see `captions.upload`."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields of the callback that the documentation does not describe."""


def upload(
    video_url: str,
    *,
    user_prompt: str,
    system_prompt: str,
    callback: str | None = None,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_persons: int | None = MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
) -> Call[CaptionTask]:
    """Submit the video at *video_url* for captioning.

    The answer is a `CaptionTask`; the caption arrives at *callback*. A success is billed as one
    caption. A repeat is not safe: it submits another task, which is billed again.

    The video must be public, 20 to 300 seconds long and at most 20 MB; only the service checks this.
    *user_prompt* says what to describe, *system_prompt* sets the role of the model. Each of *persons*
    needs a `url`; there are at most *max_persons* (None removes the limit). *thinking* turns on the
    reasoning mode; *reasoning_effort*, 1 to 10, is how hard it thinks. *qa* asks for an answer in the
    style of a chat. *extra* are further fields of the request. Without *callback*, the client's
    receiver provides the URL; a client without a receiver refuses to send the call.

    *tag* is an id of your own. It is stored with the submission, and comes back with the task, the
    caption, errors and events; the service does not see it. A ledger takes two calls that differ in
    their tags alone for one call, which is paid once.

    Building the call raises `ValueError` or `TypeError` for an empty prompt, a URL that is not http or
    https, or too many persons. Sending it raises `MemoriesError`. See memories.ai docs, "Video
    Caption".
    """
    prompts = Prompts(user_prompt, system_prompt, thinking, reasoning_effort, qa)
    body = describe_url(video_url, prompts, check_persons(persons, max_persons), callback)
    return _build_call("upload", body, _read_task, extra, tag, needs_callback=callback is None)


def upload_sync(
    video_url: str,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_persons: int | None = MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
) -> Call[Caption]:
    """Caption the video at *video_url*, and wait for the caption in the reply: no callback is needed.

    The answer is a `Caption`. A success is billed as one caption. A repeat is not safe: it is billed
    again, and where the reply is lost, so is the caption that was paid for. The service takes as long
    as it works on the video; the call waits up to ten minutes longer than the policy's `timeout`.

    The arguments are those of `captions.upload`. Building the call raises `ValueError` or `TypeError`
    as there, sending it `OutcomeUnknown` for a lost reply, and any other `MemoriesError`. See memories.ai docs, "Video Caption".
    """
    prompts = Prompts(user_prompt, system_prompt, thinking, reasoning_effort, qa)
    body = describe_url(video_url, prompts, check_persons(persons, max_persons), None)
    return _build_call("upload_sync", body, _read_caption, extra, tag, patience=PATIENCE)


def upload_file(
    video: media.Source,
    *,
    user_prompt: str,
    system_prompt: str,
    callback: str | None = None,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_video_size: int | None = MAX_VIDEO_SIZE,
    max_persons: int | None = MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
) -> Call[CaptionTask]:
    """Submit the video file *video* for captioning.

    The answer is a `CaptionTask`; the caption arrives at *callback*. A success is billed as one
    caption. A repeat is not safe: it submits another task, which is billed again.

    *video* is a path, bytes or a file open for bytes, 20 to 300 seconds long and at most
    *max_video_size* bytes; it is streamed at constant memory. *user_prompt* says what to describe,
    *system_prompt* sets the role of the model. Each of *persons* needs an `image`; there are at most
    *max_persons*. None removes either limit. The pictures follow the video in the order of *persons*,
    and each is sent under the person's name. *thinking*, *reasoning_effort*, *qa*, *extra*,
    *callback* and *tag* are those of `captions.upload`.

    Building the call raises `ValueError` or `TypeError` for an empty prompt, a file that the service
    would refuse, or too many persons. Sending it raises `MemoriesError`. See memories.ai docs, "Video
    Caption".
    """
    prompts = Prompts(user_prompt, system_prompt, thinking, reasoning_effort, qa)
    people = check_persons(persons, max_persons)
    film = media.prepare_video(
        "video", video, max_size=max_video_size, instead="captions.upload takes it"
    )
    body = describe_file(film, prompts, people, callback)
    return _build_call("upload_file", body, _read_task, extra, tag, needs_callback=callback is None)


def upload_file_sync(
    video: media.Source,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_video_size: int | None = MAX_VIDEO_SIZE,
    max_persons: int | None = MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
) -> Call[Caption]:
    """Caption the video file *video*, and wait for the caption in the reply: no callback is needed.

    The answer is a `Caption`. A success is billed as one caption. A repeat is not safe: it is billed
    again, and where the reply is lost, so is the caption that was paid for. The service takes as long
    as it works on the video; the call waits up to ten minutes longer than the policy's `timeout`.

    The arguments are those of `captions.upload_file`. Building the call raises `ValueError` or
    `TypeError` as there. Sending it raises `OutcomeUnknown`, where the reply does not arrive, or
    another `MemoriesError`. See memories.ai docs, "Video Caption".
    """
    prompts = Prompts(user_prompt, system_prompt, thinking, reasoning_effort, qa)
    people = check_persons(persons, max_persons)
    film = media.prepare_video(
        "video", video, max_size=max_video_size, instead="captions.upload takes it"
    )
    body = describe_file(film, prompts, people, None)
    return _build_call("upload_file_sync", body, _read_caption, extra, tag, patience=PATIENCE)


def _build_call(
    name: str,
    body: Json | Form,
    read: Callable[..., T],
    extra: Mapping[str, Any] | None,
    tag: str | None,
    *,
    needs_callback: bool = False,
    patience: float = 0.0,
) -> Call[T]:
    call = Call(
        name=f"captions.{name}",
        host=Host.CAPTIONS,
        path=PATHS[name],
        body=body,
        family="captions",
        unit="caption",
        repeatable=False,
        needs_callback=needs_callback,
        patience=patience,
        tag=None if tag is None else check_text("tag", tag),
        decode=partial(read, tag=tag),
    )
    return call.with_extra(extra, OPTIONAL_NAMES)


def read_tokens(token: object) -> Tokens | None:
    """Read the counts of tokens; None where they are missing or cannot be read."""
    try:
        return converter.structure(token, Tokens) if wire_json.is_object(token) else None
    except Exception:  # noqa: BLE001  # cattrs raises groups of anything; a count is not worth a caption
        return None


def _read_caption(data: Any, *, tag: str | None) -> Caption:
    given = dict(data)
    text = given.pop("text", None)
    if not isinstance(text, str):
        raise TypeError("data.text must be text")
    tokens = read_tokens(given.get("token"))
    if tokens is not None:
        del given["token"]
    return Caption(text=text, tokens=tokens, extra=given, tag=tag)


def _read_task(data: Any, *, tag: str | None) -> CaptionTask:
    task = CaptionTask(converter.structure(data, CaptionTask).task_id, tag=tag)
    if not task.task_id:
        raise ValueError("task_id is empty")
    return task


__all__ = [
    "MAX_EFFORT",
    "MAX_IMAGE_SIZE",
    "MAX_PERSONS",
    "MAX_VIDEO_SIZE",
    "Caption",
    "CaptionTask",
    "Person",
    "Tokens",
    "upload",
    "upload_file",
    "upload_file_sync",
    "upload_sync",
]
