"""Video Caption: have a video described, its people recognised by reference pictures.

The answer to a submission is only a task; the caption itself arrives in one POST to *callback*.
Source: seed page "Video Caption" (`POST /v1/understand/upload` and `/v1/understand/uploadFile`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import quote, unquote

from attrs import field, frozen

from memories_async import media
from memories_async._protocol.call import Call, Form, Json, Part, check_text, check_url
from memories_async._protocol.decode import converter
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

MAX_VIDEO_SIZE = 20 * media.MB
"""Bytes that the page allows for a video sent as a file."""
MAX_PERSONS = 5
"""Reference pictures that the page allows."""
MAX_IMAGE_SIZE = 20 * media.MB
"""Bytes allowed for a reference picture; the caption page names none, so the search page's holds."""


@frozen
class Person:
    """Somebody to recognise: a picture by *url* for `upload`, by *image* for `upload_file`."""

    name: str
    url: str | None = field(default=None, kw_only=True)
    image: media.Source | None = field(default=None, kw_only=True, repr=False)


@frozen(slots=False)
class CaptionTask(Value):
    """A submission that was accepted; its caption comes to the callback.

    `str(task)` is short printable text to keep anywhere; `CaptionTask.parse` reads it.
    """

    task_id: str

    def __str__(self) -> str:
        return quote(self.task_id, safe="-._~:/+=,;@!")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        if not text or not text.isascii() or not text.isprintable():
            raise ValueError(f"a task must be written as str(task) writes it, not {text!r}")
        return cls(unquote(text, errors="strict"))


@frozen(kw_only=True, slots=False)
class Tokens(Value):
    """What a caption read and wrote, as billed by the service."""

    input: int
    output: int
    total: int


@frozen(kw_only=True, slots=False)
class Caption(Value):
    """A finished caption."""

    text: str
    tokens: Tokens | None = None
    """None where the service left the count out."""
    extra: Mapping[str, Any] = field(factory=dict[str, Any], repr=False, eq=False)
    """Fields of the delivery that the page does not name."""


def upload(
    video_url: str,
    *,
    user_prompt: str,
    system_prompt: str,
    callback: str | None = None,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    max_persons: int | None = MAX_PERSONS,
) -> Call[CaptionTask]:
    """Submit the video at *video_url* for captioning.

    Costs one caption when it succeeds, and every repeat is another task with another bill. The
    video must be public, 20 to 300 seconds long and at most 20 MB, which only the service can see.
    Without *callback* the client's receiver provides one; a client without a receiver then refuses
    to send. *persons* need a `url` each. *thinking* turns on the reasoning mode. Raises
    `ValueError` for an empty prompt, an unusable URL or more than *max_persons* persons.
    """
    people = _people(persons, max_persons)
    body: dict[str, Any] = {"video_url": check_url("video_url", video_url)}
    body |= _asked(user_prompt, system_prompt, callback)
    if people:
        body["persons"] = [_by_url(person) for person in people]
    return _submission("upload", Json({**body, "thinking": thinking}), callback)


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
) -> Call[CaptionTask]:
    """Submit a video from this machine for captioning.

    As `upload`, but *persons* need an `image` each; the pictures follow the video in the order of
    *persons*, which is how the service tells whose is whose. Files stream at constant memory.
    *max_video_size* (bytes) and *max_persons* are the page's limits; None lifts them.
    """
    people = _people(persons, max_persons)
    body: dict[str, Any] = _asked(user_prompt, system_prompt, callback)
    if people:
        body["persons"] = [{"name": person.name} for person in people]
    parts = [
        Part("req", Json({**body, "thinking": thinking}), file_name="req.json"),
        Part("files", media.prepare_video("video", video, max_size=max_video_size)),
        *(Part("files", _picture(person, at)) for at, person in enumerate(people, 1)),
    ]
    return _submission("upload_file", Form(tuple(parts)), callback)


def _submission(name: str, body: Json | Form, callback: str | None) -> Call[CaptionTask]:
    return Call(
        name=f"captions.{name}",
        host=Host.CAPTIONS,
        path="/v1/understand/upload" if name == "upload" else "/v1/understand/uploadFile",
        body=body,
        family="captions",
        unit="caption",
        repeatable=False,
        needs_callback=callback is None,
        decode=_task,
    )


def _asked(user_prompt: str, system_prompt: str, callback: str | None) -> dict[str, Any]:
    asked = {
        "user_prompt": check_text("user_prompt", user_prompt),
        "system_prompt": check_text("system_prompt", system_prompt),
    }
    return asked if callback is None else {**asked, "callback": check_url("callback", callback)}


def _people(persons: Iterable[Person], most: int | None) -> tuple[Person, ...]:
    people = tuple(persons)
    if most is not None and len(people) > most:
        raise ValueError(f"persons must be at most {most}, not {len(people)}")
    for at, person in enumerate(people):
        if not isinstance(person, Person):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise TypeError(f"persons[{at}] must be a Person, not {type(person).__name__}")
        check_text(f"persons[{at}].name", person.name)
    return people


def _by_url(person: Person) -> dict[str, str]:
    if person.url is None:
        raise ValueError(f"persons: {person.name} needs a url (upload_file takes an image)")
    return {"name": person.name, "url": check_url(f"persons: {person.name}: url", person.url)}


def _picture(person: Person, at: int) -> media.Media:
    if person.image is None:
        raise ValueError(f"persons: {person.name} needs an image (upload takes a url)")
    argument = f"persons: {person.name}: image"
    return media.prepare_image(argument, person.image, name=f"person{at}", max_size=MAX_IMAGE_SIZE)


def _task(data: Any) -> CaptionTask:
    task = converter.structure(data, CaptionTask)
    if not task.task_id:
        raise ValueError("task_id is empty")
    return task
