"""`POST /v1/understand/upload`, `uploadFile`, `uploadSync` and `uploadFileSync`: "Video Caption".

Wrong fields, files and sizes are refused at once. What is known only when the video is decoded, such
as its duration, is reported by callback as a failure; the routes without a callback refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from memories_async._protocol import wire_json
from memories_async.local.jobs.caption_jobs import CaptionJobs, CaptionOrder, NamedPerson
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.state.forms import (
    FormFile,
    get_required,
    parse_object,
    read_form,
    read_json,
)
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["CaptionFile", "CaptionUrl", "build_caption_routes"]

_FIELDS = ("user_prompt", "system_prompt", "callback", "persons", "thinking")


@frozen(kw_only=True)
class CaptionUrl:
    """Captions a video that a URL names."""

    caption_jobs: CaptionJobs
    page_limits: PageLimits
    name: str = "captions.upload"
    family: str = "captions"
    path: str = "/v1/understand/upload"
    method: str = "POST"
    is_sync: bool = False
    """Whether the caption is in the reply."""
    is_free: bool = False
    host: RouteHost = RouteHost.SECURITY

    async def read(self, context: RequestContext) -> CaptionOrder:
        """Check the fields; the URL is fetched later."""
        fields = await read_json(context.request)
        url = get_required(fields, "video_url")
        persons = tuple(
            NamedPerson(name=name, url=picture)
            for name, picture in _read_persons(fields, self.page_limits)
        )
        context.ignore_fields(fields, {"video_url", *_FIELDS})
        return _build_order(
            fields, self.caption_jobs, is_sync=self.is_sync, video=url, persons=persons
        )

    async def work(self, order: CaptionOrder, context: RequestContext) -> RouteAnswer:
        """Accept the task, or write the caption where it is to be in the reply."""
        if self.is_sync:
            return await self.caption_jobs.answer(order)
        return await self.caption_jobs.accept(order, context)


@frozen(kw_only=True)
class CaptionFile:
    """Captions a video that is sent in the request, followed by pictures of persons.

    There is one picture for each person, or one for each person without a `url`, in their order.
    """

    caption_jobs: CaptionJobs
    page_limits: PageLimits
    name: str = "captions.upload_file"
    family: str = "captions"
    path: str = "/v1/understand/uploadFile"
    method: str = "POST"
    is_sync: bool = False
    """Whether the caption is in the reply."""
    is_free: bool = False
    host: RouteHost = RouteHost.SECURITY

    async def read(self, context: RequestContext) -> CaptionOrder:
        """Check the part `req`, and then the files, whose number must agree with it."""
        largest = max(self.page_limits.video_size, self.page_limits.image_size)
        # The part req, the video, and a picture for each person.
        form = await read_form(context.request, largest=largest, most=2 + self.page_limits.persons)
        requests = [one.content for one in form.files.pop("req", ())]
        requests += [form.fields["req"].encode()] if "req" in form.fields else []
        context.uploads += [one.sha256 for one in form.uploads]
        if not requests:
            raise Refusal(Reason.MISSING, "The req parameter cannot be empty!")
        fields = parse_object(requests[0], "The part req")
        # The page names all parts files; its sample with persons names the pictures file.
        parts = [*form.files.get("files", []), *form.files.get("file", [])]
        video, *pictures = self._check_files(parts)
        persons = _match_pictures(_read_persons(fields, self.page_limits), pictures)
        context.ignore_fields(fields, _FIELDS)
        return _build_order(
            fields, self.caption_jobs, is_sync=self.is_sync, video=video, persons=persons
        )

    def _check_files(self, files: list[FormFile]) -> list[FormFile]:
        if not files:
            raise Refusal(Reason.MISSING, "The files parameter cannot be empty!")
        sizes = [self.page_limits.video_size, *[self.page_limits.image_size] * len(files)]
        for file, largest in zip(files, sizes, strict=False):
            if not file.content:
                raise Refusal(Reason.WRONG, f"The file '{file.file_name}' is empty.")
            if len(file.content) > largest:
                raise Refusal(Reason.WRONG, f"The file '{file.file_name}' is too large.")
        return files

    async def work(self, order: CaptionOrder, context: RequestContext) -> RouteAnswer:
        """Accept the task, or write the caption where it is to be in the reply."""
        if self.is_sync:
            return await self.caption_jobs.answer(order)
        return await self.caption_jobs.accept(order, context)


def build_caption_routes(
    caption_jobs: CaptionJobs, page_limits: PageLimits
) -> tuple[CaptionUrl | CaptionFile, ...]:
    """Build the four routes: a video by URL or as a file, its caption by callback or in the reply."""
    jobs, limits = caption_jobs, page_limits
    return (
        CaptionUrl(caption_jobs=jobs, page_limits=limits),
        CaptionFile(caption_jobs=jobs, page_limits=limits),
        CaptionUrl(
            caption_jobs=jobs,
            page_limits=limits,
            name="captions.upload_sync",
            path="/v1/understand/uploadSync",
            is_sync=True,
        ),
        CaptionFile(
            caption_jobs=jobs,
            page_limits=limits,
            name="captions.upload_file_sync",
            path="/v1/understand/uploadFileSync",
            is_sync=True,
        ),
    )


def _build_order(
    fields: Mapping[str, Any],
    caption_jobs: CaptionJobs,
    *,
    is_sync: bool,
    video: str | FormFile,
    persons: tuple[NamedPerson, ...],
) -> CaptionOrder:
    thinking = fields.get("thinking")
    if not isinstance(thinking, bool | None):
        raise Refusal(Reason.WRONG, "The thinking parameter must be a boolean.")
    order = CaptionOrder(
        video=video,
        user_prompt=get_required(fields, "user_prompt"),
        system_prompt=get_required(fields, "system_prompt"),
        callback=None if is_sync else get_required(fields, "callback"),
        persons=persons,
        thinking=thinking is True,
    )
    if order.callback is not None:
        caption_jobs.outbox.check_url(order.callback)
    return order


def _read_persons(
    fields: Mapping[str, Any], page_limits: PageLimits
) -> list[tuple[str, str | None]]:
    """Read name and `url` of each person."""
    persons = fields.get("persons")
    if persons is None:
        return []
    if not wire_json.is_array(persons):
        raise Refusal(Reason.WRONG, "The persons parameter must be an array.")
    if len(persons) > page_limits.persons:
        raise Refusal(Reason.WRONG, f"At most {page_limits.persons} persons are supported.")
    named: list[tuple[str, str | None]] = []
    for person in persons:
        if not wire_json.is_object(person):
            raise Refusal(Reason.WRONG, "Each of the persons must be an object.")
        name, url = get_required(person, "name"), person.get("url")
        if url is not None and not isinstance(url, str):
            raise Refusal(Reason.WRONG, "The url of a person must be a string.")
        named.append((name, url))
    return named


def _match_pictures(
    persons: list[tuple[str, str | None]], pictures: list[FormFile]
) -> tuple[NamedPerson, ...]:
    """Give each person a picture that was sent; a person with a URL may do without."""
    has_url = len(pictures) < len(persons)
    expected = sum(not (has_url and url) for _, url in persons)
    if len(pictures) != expected:
        sentence = f"{expected} persons need as many pictures; {len(pictures)} came."
        raise Refusal(Reason.WRONG, sentence)
    sent = iter(pictures)
    return tuple(
        NamedPerson(name=name, url=url)
        if has_url and url
        else NamedPerson(name=name, image=next(sent).content)
        for name, url in persons
    )
