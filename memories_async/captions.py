"""Video Caption: describes a video and recognises people in it by reference pictures.

The answer to a submission is a task. The caption itself arrives in a POST to the callback URL.
memories.ai docs, "Video Caption" (`POST /v1/understand/upload` and `/v1/understand/uploadFile`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Self
from urllib.parse import quote, unquote

from attrs import evolve, field, frozen

from memories_async import media
from memories_async._protocol.call import Call, Form, Json, Part, check_text, check_url
from memories_async._protocol.decode import converter
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_VIDEO_SIZE = 20 * media.MB
"""Bytes allowed for a video that is sent as a file (memories.ai docs, "Video Caption")."""
MAX_PERSONS = 5
"""Persons allowed in one submission (memories.ai docs, "Video Caption")."""
MAX_IMAGE_SIZE = 20 * media.MB
"""Bytes allowed for a reference picture. "Video Caption" states no limit, so this is the one of
"Search Clips by Image"."""


@frozen
class Person:
    """A person to recognise by a reference picture.

    `captions.upload` takes the picture as a public *url*, `captions.upload_file` as an *image* file.
    """

    name: str
    url: str | None = field(default=None, kw_only=True)
    image: media.Source | None = field(default=None, kw_only=True, repr=False)


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
    max_persons: int | None = MAX_PERSONS,
    tag: str | None = None,
) -> Call[CaptionTask]:
    """Submit the video at *video_url* for captioning.

    The answer is a `CaptionTask`; the caption arrives at *callback*. A success is billed as one
    caption. A repeat is not safe: it submits another task, which is billed again.

    The video must be public, 20 to 300 seconds long and at most 20 MB; only the service checks this.
    *user_prompt* says what to describe, *system_prompt* sets the role of the model. Each of *persons*
    needs a `url`; there are at most *max_persons* (None removes the limit). *thinking* turns on the
    reasoning mode. Without *callback*, the client's receiver provides the URL; a client without a
    receiver refuses to send the call.

    *tag* is an id of your own. It is stored with the submission, and comes back with the task, the
    caption, errors and events; the service does not see it. A ledger takes two calls that differ in
    their tags alone for one call, which is paid once.

    Building the call raises `ValueError` or `TypeError` for an empty prompt, a URL that is not http or
    https, or too many persons. Sending it raises `MemoriesError`. See memories.ai docs, "Video
    Caption".
    """
    people = _check_persons(persons, max_persons)
    body: dict[str, Any] = {"video_url": check_url("video_url", video_url)}
    body |= _build_arguments(user_prompt, system_prompt, callback)
    if people:
        body["persons"] = [_describe_by_url(person) for person in people]
    return _build_call("upload", Json({**body, "thinking": thinking}), callback, tag)


def upload_file(
    video: media.Source,
    *,
    user_prompt: str,
    system_prompt: str,
    callback: str | None = None,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    max_video_size: int | None = MAX_VIDEO_SIZE,
    max_persons: int | None = MAX_PERSONS,
    tag: str | None = None,
) -> Call[CaptionTask]:
    """Submit the video file *video* for captioning.

    The answer is a `CaptionTask`; the caption arrives at *callback*. A success is billed as one
    caption. A repeat is not safe: it submits another task, which is billed again.

    *video* is a path, bytes or a file open for bytes, 20 to 300 seconds long and at most
    *max_video_size* bytes; it is streamed at constant memory. *user_prompt* says what to describe,
    *system_prompt* sets the role of the model. Each of *persons* needs an `image`; there are at most
    *max_persons*. None removes either limit. The pictures follow the video in the order of *persons*, and each is sent
    under the person's name.
    *thinking* turns on the reasoning mode. Without *callback*, the client's receiver provides the
    URL; a client without a receiver refuses to send the call. *tag* is an id of your own, as in
    `captions.upload`.

    Building the call raises `ValueError` or `TypeError` for an empty prompt, a file that the service
    would refuse, or too many persons. Sending it raises `MemoriesError`. See memories.ai docs, "Video
    Caption".
    """
    people = _check_persons(persons, max_persons)
    body: dict[str, Any] = _build_arguments(user_prompt, system_prompt, callback)
    if people:
        body["persons"] = [{"name": person.name} for person in people]
    parts = [
        Part("req", Json({**body, "thinking": thinking}), file_name="req.json"),
        Part("files", media.prepare_video("video", video, max_size=max_video_size)),
        *(Part("files", _prepare_picture(person, at)) for at, person in enumerate(people, 1)),
    ]
    return _build_call("upload_file", Form(tuple(parts)), callback, tag)


def _build_call(
    name: str, body: Json | Form, callback: str | None, tag: str | None
) -> Call[CaptionTask]:
    return Call(
        name=f"captions.{name}",
        host=Host.CAPTIONS,
        path="/v1/understand/upload" if name == "upload" else "/v1/understand/uploadFile",
        body=body,
        family="captions",
        unit="caption",
        repeatable=False,
        needs_callback=callback is None,
        tag=None if tag is None else check_text("tag", tag),
        decode=partial(_read_task, tag=tag),
    )


def _build_arguments(user_prompt: str, system_prompt: str, callback: str | None) -> dict[str, Any]:
    arguments = {
        "user_prompt": check_text("user_prompt", user_prompt),
        "system_prompt": check_text("system_prompt", system_prompt),
    }
    if callback is not None:
        arguments["callback"] = check_url("callback", callback)
    return arguments


def _check_persons(persons: Iterable[Person], most: int | None) -> tuple[Person, ...]:
    people = tuple(persons)
    if most is not None and len(people) > most:
        raise ValueError(f"persons must be at most {most}, not {len(people)}")
    for at, person in enumerate(people):
        if not isinstance(person, Person):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise TypeError(f"persons[{at}] must be a Person, not {type(person).__name__}")
        check_text(f"persons[{at}].name", person.name)
    return people


def _describe_by_url(person: Person) -> dict[str, str]:
    if person.url is None:
        raise ValueError(f"persons: {person.name} needs a url (upload_file takes an image)")
    return {"name": person.name, "url": check_url(f"persons: {person.name}: url", person.url)}


def _prepare_picture(person: Person, at: int) -> media.Media:
    if person.image is None:
        raise ValueError(f"persons: {person.name} needs an image (upload takes a url)")
    argument = f"persons: {person.name}: image"
    # The service may match pictures to persons by file name instead of by order, so both agree.
    name = media.clean_name(person.name) or f"person{at}"
    return media.prepare_image(argument, person.image, name=name, max_size=MAX_IMAGE_SIZE)


def _read_task(data: Any, *, tag: str | None) -> CaptionTask:
    task = evolve(converter.structure(data, CaptionTask), tag=tag)
    if not task.task_id:
        raise ValueError("task_id is empty")
    return task
