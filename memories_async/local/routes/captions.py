"""`POST /v1/understand/upload` and `.../uploadFile`: the page "Video Caption".

Only what can be known at once is refused at once: the fields, the files and their sizes. What
shows only when the video is decoded, such as its duration, is reported by callback as a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from memories_async._protocol import wire_json
from memories_async.local.egress.policy import Unreachable
from memories_async.local.jobs.caption_jobs import Commission, Person, Studio
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.state.forms import Upload, parse_object, read_form, read_json, required
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.wire import Host, Reason, Refusal

__all__ = ["CaptionFile", "CaptionUrl"]


@frozen(kw_only=True)
class CaptionUrl:
    """Captions a video that a URL names."""

    studio: Studio
    rules: Rules
    name: str = "captions.upload"
    path: str = "/v1/understand/upload"
    method: str = "POST"
    is_free: bool = False
    host: Host = Host.SECURITY

    async def read(self, visit: Visit) -> Commission:
        """Check the fields; where the URL leads is seen later."""
        fields = await read_json(visit.request)
        url = required(fields, "video_url")
        people = tuple(Person(name=name, url=url) for name, url in _persons(fields, self.rules))
        return _commission(fields, self.studio, video=url, persons=people)

    async def work(self, order: Commission, visit: Visit) -> Answer:
        """Accept the task."""
        return self.studio.accept(order, visit)


@frozen(kw_only=True)
class CaptionFile:
    """Captions a video that is sent along, with one picture for each person in their order."""

    studio: Studio
    rules: Rules
    name: str = "captions.upload_file"
    path: str = "/v1/understand/uploadFile"
    method: str = "POST"
    is_free: bool = False
    host: Host = Host.SECURITY

    async def read(self, visit: Visit) -> Commission:
        """Check the part `req` and then the files, whose count must agree with it."""
        largest = max(self.rules.video_size, self.rules.image_size)
        # The part req, the video, and a picture for each person.
        form = await read_form(visit.request, largest=largest, most=2 + self.rules.persons)
        visit.uploads += [one.sha256 for one in form.files.get("files", ())]
        described = [one.content for one in form.files.pop("req", ())]
        described += [form.fields[name].encode() for name in ("req",) if name in form.fields]
        if not described:
            raise Refusal(Reason.MISSING, "The req parameter cannot be empty!")
        fields = parse_object(described[0], "The part req")
        video, *pictures = self._files(form.files.get("files", []))
        names = [name for name, _ in _persons(fields, self.rules)]
        if len(pictures) != len(names):
            sentence = f"{len(names)} persons need as many pictures; {len(pictures)} came."
            raise Refusal(Reason.WRONG, sentence)
        people = tuple(
            Person(name=name, image=picture.content)
            for name, picture in zip(names, pictures, strict=True)
        )
        return _commission(fields, self.studio, video=video, persons=people)

    def _files(self, files: list[Upload]) -> list[Upload]:
        if not files:
            raise Refusal(Reason.MISSING, "The files parameter cannot be empty!")
        sizes = [self.rules.video_size, *[self.rules.image_size] * len(files)]
        for file, largest in zip(files, sizes, strict=False):
            if not file.content:
                raise Refusal(Reason.WRONG, f"The file '{file.file_name}' is empty.")
            if len(file.content) > largest:
                raise Refusal(Reason.WRONG, f"The file '{file.file_name}' is too large.")
        return files

    async def work(self, order: Commission, visit: Visit) -> Answer:
        """Accept the task."""
        return self.studio.accept(order, visit)


def _commission(
    fields: Mapping[str, Any],
    studio: Studio,
    *,
    video: str | Upload,
    persons: tuple[Person, ...],
) -> Commission:
    thinking = fields.get("thinking")
    if not isinstance(thinking, bool | None):
        raise Refusal(Reason.WRONG, "The thinking parameter must be a boolean.")
    commission = Commission(
        video=video,
        user_prompt=required(fields, "user_prompt"),
        system_prompt=required(fields, "system_prompt"),
        callback=required(fields, "callback"),
        persons=persons,
        thinking=thinking is True,
    )
    try:
        studio.outbox.outgoing.guard.checked(commission.callback)
    except Unreachable as error:
        # A callback that is well formed but out of reach is taken, and its delivery logged as
        # refused: the printed sample names such a one.
        if not error.forbidden:
            raise Refusal(Reason.WRONG, f"The callback parameter: {error}.") from None
    return commission


def _persons(fields: Mapping[str, Any], rules: Rules) -> list[tuple[str, str | None]]:
    persons = fields.get("persons")
    if persons is None:
        return []
    if not wire_json.is_array(persons):
        raise Refusal(Reason.WRONG, "The persons parameter must be an array.")
    if len(persons) > rules.persons:
        raise Refusal(Reason.WRONG, f"At most {rules.persons} persons are supported.")
    return [_person(one) for one in persons]


def _person(person: object) -> tuple[str, str | None]:
    if not wire_json.is_object(person):
        raise Refusal(Reason.WRONG, "Each of the persons must be an object.")
    return required(person, "name"), _url(person.get("url"))


def _url(url: object) -> str | None:
    if url is not None and not isinstance(url, str):
        raise Refusal(Reason.WRONG, "The url of a person must be a string.")
    return url
