"""Reads request bodies: multipart forms and JSON, of bounded size. A refusal names what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError
from attrs import define, field, frozen

from memories_async._protocol import wire_json
from memories_async._protocol.decode import read_number
from memories_async.local.state.wire import Reason, Refusal

__all__ = [
    "DETAILS",
    "MALFORMED",
    "MEGABYTE",
    "FormFile",
    "ReceivedForm",
    "check_fields",
    "check_multipart",
    "discard_body",
    "get_required",
    "parse_object",
    "read_body",
    "read_details",
    "read_field",
    "read_fields",
    "read_folder_id",
    "read_form",
    "read_json",
    "read_strings",
    "read_text",
]

MEGABYTE = 1024 * 1024
_CHUNK = 64 * 1024
_LARGEST_FIELD = MEGABYTE
_MOST_FIELDS = 100
_BODY = "The JSON body"
DETAILS = ("datetime_taken", "camera_model", "latitude", "longitude")
"""Fields that an upload says of a video, by which lists filter."""
MALFORMED: tuple[type[Exception], ...] = (ValueError, HttpProcessingError)
"""What aiohttp raises for a multipart body that cannot be read; the second is for long lines."""


@frozen(kw_only=True)
class FormFile:
    """A file of a multipart form, in memory."""

    file_name: str
    content_type: str
    content: bytes = field(repr=lambda content: f"<{len(content)} bytes>")
    sha256: str


@define(eq=False)
class ReceivedForm:
    """The parts of a multipart body."""

    fields: dict[str, str] = field(factory=dict[str, str])
    files: dict[str, list[FormFile]] = field(factory=dict[str, list[FormFile]])

    @property
    def uploads(self) -> Iterable[FormFile]:
        """Every file; those of one field in their order."""
        return (one for several in self.files.values() for one in several)


async def read_form(request: web.Request, *, largest: int, most: int) -> ReceivedForm:
    """Read a multipart body of at most *most* files with at most *largest* bytes each.

    Reading stops at the first file over the limit: the refusal goes out while the caller still sends.
    """
    check_multipart(request)
    form = ReceivedForm()
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                await _read_part(part, form, largest)
            check_fields(form.fields.values())
            if len([*form.uploads]) > most:
                raise Refusal(Reason.WRONG, f"At most {most} files are supported.")
    except MALFORMED:
        raise Refusal(Reason.WRONG, "The multipart body cannot be read.") from None
    return form


def check_fields(values: Collection[str]) -> None:
    """Refuse a form whose text fields would fill the memory."""
    if len(values) > _MOST_FIELDS:
        raise Refusal(Reason.WRONG, f"At most {_MOST_FIELDS} fields are supported.")
    if sum(map(len, values)) > _LARGEST_FIELD:
        raise Refusal(Reason.WRONG, "The fields are together larger than 1 MB.")


def check_multipart(request: web.Request) -> None:
    """Refuse a request whose body is not multipart, or is compressed.

    A few bytes of compressed line ends would keep the event loop busy for minutes.
    """
    _check_content_type(request, is_expected=request.content_type.startswith("multipart/"))
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise Refusal(Reason.UNSUPPORTED, f"Content-Encoding '{encoding}' is not supported.")


def _check_content_type(request: web.Request, *, is_expected: bool) -> None:
    if not is_expected:
        sentence = f"Content-Type '{request.content_type}' is not supported."
        raise Refusal(Reason.UNSUPPORTED, sentence)


async def _read_part(part: BodyPartReader, form: ReceivedForm, largest: int) -> None:
    name = part.name or ""
    if part.filename is None:
        form.fields[name] = await read_field(part)
        return
    content, digest = await _read_content(part, f"The file '{part.filename}'", largest)
    upload = FormFile(
        file_name=part.filename,
        content_type=part.headers.get("Content-Type", ""),
        content=content,
        sha256=digest,
    )
    form.files.setdefault(name, []).append(upload)


async def read_field(part: BodyPartReader) -> str:
    """Read a part that is text, of at most one megabyte."""
    content, _ = await _read_content(part, f"The field '{part.name}'", _LARGEST_FIELD)
    return content.decode("utf-8", errors="replace")


async def _read_content(part: BodyPartReader, what: str, largest: int) -> tuple[bytes, str]:
    # Not a bytearray: copying 20 MB into bytes would block the event loop for 10 ms.
    content, digest = BytesIO(), hashlib.sha256()
    while chunk := await part.read_chunk(_CHUNK):
        content.write(chunk)
        digest.update(chunk)
        if content.tell() > largest:
            is_round = largest % MEGABYTE == 0
            size = f"{largest // MEGABYTE} MB" if is_round else f"{largest} bytes"
            raise Refusal(Reason.WRONG, f"{what} is larger than {size}.")
    return content.getvalue(), digest.hexdigest()


async def read_json(request: web.Request) -> Mapping[str, Any]:
    """Read a JSON object of at most one megabyte."""
    return parse_object(await _read_json_body(request), _BODY)


async def read_strings(request: web.Request) -> list[str]:
    """Read a JSON array of strings, of at most one megabyte."""
    document = _parse(await _read_json_body(request), _BODY)
    if not wire_json.is_array(document) or not all(isinstance(one, str) for one in document):
        raise Refusal(Reason.WRONG, f"{_BODY} must be an array of strings.")
    return document


async def read_fields(request: web.Request) -> list[tuple[str, str]]:
    """Read the fields of a URL-encoded form, in their order."""
    _check_content_type(
        request, is_expected=request.content_type == "application/x-www-form-urlencoded"
    )
    body = await read_body(request, "The form")
    return parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True)


async def _read_json_body(request: web.Request) -> bytes:
    _check_content_type(request, is_expected=request.content_type == "application/json")
    return await read_body(request, _BODY)


async def read_body(request: web.Request, what: str) -> bytes:
    """Read a body of at most one megabyte, after decompression; the refusal calls it *what*."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_FIELD:
            raise Refusal(Reason.WRONG, f"{what} is larger than 1 MB.")
    return bytes(body)


def _parse(text: bytes, what: str) -> Any:
    try:
        return wire_json.loads(text)
    except wire_json.NotJson:
        raise Refusal(Reason.WRONG, f"{what} cannot be read as JSON.") from None


def parse_object(text: bytes, what: str) -> Mapping[str, Any]:
    """Parse *text* as a JSON object; the refusal calls it *what*."""
    document = _parse(text, what)
    if not wire_json.is_object(document):
        raise Refusal(Reason.WRONG, f"{what} must be an object.")
    return document


def get_required(fields: Mapping[str, Any], name: str) -> str:
    """Return the string *name*; refuse an empty one in the documentation's words."""
    value = fields.get(name)
    if value is None or value == "" or (isinstance(value, str) and not value.strip()):
        raise Refusal(Reason.MISSING, f"The {name} parameter cannot be empty!")
    if not isinstance(value, str):
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a string.")
    return value


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Read text that may be left out; empty where it is."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a string.")
    return value or ""


def read_folder_id(value: object) -> int | None:
    """Read the number of a folder, which a form has as text; None where none is given."""
    if value is None or value == "":
        return None
    if isinstance(value, int | str) and not isinstance(value, bool):
        with suppress(ValueError):
            return int(value)
    raise Refusal(Reason.WRONG, "The folder_id parameter must be a number.")


def read_details(fields: Mapping[str, Any], dates: Callable[[Any], int]) -> dict[str, Any]:
    """Read what an upload says of a video, or a list filters by; *dates* reads `datetime_taken`."""
    found: dict[str, Any] = {}
    readers: tuple[Callable[[Any], Any], ...] = (dates, str, read_number, read_number)
    for name, read in zip(DETAILS, readers, strict=True):
        if fields.get(name) not in {None, ""}:
            try:
                found[name] = read(fields[name])
            except (TypeError, ValueError):
                raise Refusal(Reason.WRONG, f"The {name} parameter cannot be read.") from None
    return found


async def discard_body(request: web.Request) -> None:
    """Read the rest of a body without keeping it."""
    async for _ in request.content.iter_any():
        pass
