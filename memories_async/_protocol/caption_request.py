"""What a submission of "Video Caption" asks: prompts, persons and their pictures. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from memories_async import media
from memories_async._protocol.arguments import check_text, check_url
from memories_async._protocol.call import Form, Json, Part

MAX_VIDEO_SIZE = 20 * media.MB
"""Bytes allowed for a video that is sent as a file (memories.ai docs, "Video Caption")."""
MAX_PERSONS = 5
"""Persons allowed in one submission (memories.ai docs, "Video Caption")."""
MAX_IMAGE_SIZE = 20 * media.MB
"""Bytes allowed for a reference picture. "Video Caption" states no limit, so this is the one of
"Search Clips by Image"."""
MAX_EFFORT = 10
"""Highest `reasoning_effort` (memories.ai docs, "Video Caption")."""

OPTIONAL_NAMES = ("persons", "thinking", "reasoning_effort", "qa")
"""Fields that a submission may leave out."""

PATHS = {
    "upload": "/v1/understand/upload",
    "upload_file": "/v1/understand/uploadFile",
    "upload_sync": "/v1/understand/uploadSync",
    "upload_file_sync": "/v1/understand/uploadFileSync",
}


@frozen
class Person:
    """A person to recognise by a reference picture.

    `captions.upload` takes the picture as a public *url*, `captions.upload_file` as an *image* file.
    """

    name: str
    url: str | None = field(default=None, kw_only=True)
    image: media.Source | None = field(default=None, kw_only=True, repr=False)


@frozen
class Prompts:
    """What the model is told."""

    user_prompt: str
    system_prompt: str
    thinking: bool
    reasoning_effort: int | None
    qa: bool | None

    def describe(self, persons: list[dict[str, str]], callback: str | None) -> dict[str, Any]:
        """Return the arguments in the order of the service's page."""
        effort = self.reasoning_effort
        arguments: dict[str, Any] = {
            "user_prompt": check_text("user_prompt", self.user_prompt),
            "system_prompt": check_text("system_prompt", self.system_prompt),
        }
        if callback is not None:
            arguments["callback"] = check_url("callback", callback)
        if persons:
            arguments["persons"] = persons
        arguments["thinking"] = self.thinking
        if effort is not None:
            if not 1 <= effort <= MAX_EFFORT:
                raise ValueError(f"reasoning_effort must be 1 to {MAX_EFFORT}, not {effort}")
            if not self.thinking:
                raise ValueError("reasoning_effort needs thinking=True")
            arguments["reasoning_effort"] = effort
        return arguments if self.qa is None else {**arguments, "qa": self.qa}


def describe_url(
    video_url: str, prompts: Prompts, people: tuple[Person, ...], callback: str | None
) -> Json:
    url = check_url("video_url", video_url, "captions.upload_file takes a file")
    return Json({"video_url": url, **prompts.describe([*map(_describe_by_url, people)], callback)})


def describe_file(
    video: media.Media, prompts: Prompts, people: tuple[Person, ...], callback: str | None
) -> Form:
    request = prompts.describe([{"name": person.name} for person in people], callback)
    parts = [
        Part("req", Json(request), file_name="req.json"),
        Part("files", video),
        *(Part("files", _prepare_picture(person, at)) for at, person in enumerate(people, 1)),
    ]
    return Form(tuple(parts))


def check_persons(persons: Iterable[Person], most: int | None) -> tuple[Person, ...]:
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
