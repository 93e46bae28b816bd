"""Reading what came in: multipart forms and JSON, bounded, with refusals that name the culprit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from attrs import define, field, frozen

from memories_async._protocol import wire_json
from memories_async.local.state.wire import Reason, Refusal

__all__ = [
    "Form",
    "Upload",
    "checked_multipart",
    "drain",
    "parse_object",
    "read_field",
    "read_fields",
    "read_form",
    "read_json",
    "read_texts",
    "required",
]

MEGABYTE = 1024 * 1024
_CHUNK = 64 * 1024
_LARGEST_FIELD = MEGABYTE
_BODY = "The JSON body"


@frozen(kw_only=True)
class Upload:
    """A file as it came."""

    file_name: str
    content_type: str
    content: bytes = field(repr=lambda content: f"<{len(content)} bytes>")
    sha256: str


@define(eq=False)
class Form:
    """The parts of a multipart body."""

    fields: dict[str, str] = field(factory=dict[str, str])
    files: dict[str, list[Upload]] = field(factory=dict[str, list[Upload]])

    @property
    def uploads(self) -> Iterable[Upload]:
        """Every file, in order within its name."""
        return (one for several in self.files.values() for one in several)


async def read_form(request: web.Request, *, largest: int, most: int) -> Form:
    """Read a multipart body of at most *most* files with at most *largest* bytes each.

    A file over that ends the reading at once: the refusal goes out while the caller still sends.
    """
    checked_multipart(request)
    form = Form()
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name:
                await _take(part, form, largest)
            if len([*form.uploads]) > most:
                raise Refusal(Reason.WRONG, f"At most {most} files are supported.")
    except ValueError:
        raise Refusal(Reason.WRONG, "The multipart body cannot be read.") from None
    return form


def checked_multipart(request: web.Request) -> None:
    """Refuse what is no multipart body."""
    _expect(request, request.content_type.startswith("multipart/"))


def _expect(request: web.Request, fits: bool) -> None:
    if not fits:
        sentence = f"Content-Type '{request.content_type}' is not supported."
        raise Refusal(Reason.UNSUPPORTED, sentence)


async def _take(part: BodyPartReader, form: Form, largest: int) -> None:
    name = part.name or ""
    if part.filename is None:
        form.fields[name] = await read_field(part)
        return
    content, digest = await _content(part, f"The file '{part.filename}'", largest)
    upload = Upload(
        file_name=part.filename,
        content_type=part.headers.get("Content-Type", ""),
        content=content,
        sha256=digest,
    )
    form.files.setdefault(name, []).append(upload)


async def read_field(part: BodyPartReader) -> str:
    """Read a part that is text, of at most one megabyte."""
    content, _ = await _content(part, f"The field '{part.name}'", _LARGEST_FIELD)
    return content.decode("utf-8", errors="replace")


async def _content(part: BodyPartReader, what: str, largest: int) -> tuple[bytes, str]:
    # Not a bytearray: the copy of 20 MB into bytes would hold the event loop up for 10 ms.
    content, digest = BytesIO(), hashlib.sha256()
    while chunk := await part.read_chunk(_CHUNK):
        content.write(chunk)
        digest.update(chunk)
        if content.tell() > largest:
            raise Refusal(Reason.WRONG, f"{what} is larger than {_size(largest)}.")
    return content.getvalue(), digest.hexdigest()


def _size(count: int) -> str:
    return f"{count // MEGABYTE} MB" if count % MEGABYTE == 0 else f"{count} bytes"


async def read_json(request: web.Request) -> Mapping[str, Any]:
    """Read a JSON object of at most one megabyte."""
    return parse_object(await _json_body(request), _BODY)


async def read_texts(request: web.Request) -> list[str]:
    """Read a bare JSON array of texts."""
    document = _parse(await _json_body(request), _BODY)
    if not wire_json.is_array(document) or not all(isinstance(one, str) for one in document):
        raise Refusal(Reason.WRONG, f"{_BODY} must be an array of strings.")
    return document


async def read_fields(request: web.Request) -> list[tuple[str, str]]:
    """Read form fields without files, in their order."""
    _expect(request, request.content_type == "application/x-www-form-urlencoded")
    body = await _bounded(request, "The form")
    return parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True)


async def _json_body(request: web.Request) -> bytes:
    _expect(request, request.content_type == "application/json")
    return await _bounded(request, _BODY)


async def _bounded(request: web.Request, what: str) -> bytes:
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
    """Read a JSON object from *text*, which the refusal calls *what*."""
    document = _parse(text, what)
    if not wire_json.is_object(document):
        raise Refusal(Reason.WRONG, f"{what} must be an object.")
    return document


def required(fields: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there; the sentence is the documentation's."""
    value = fields.get(name)
    if value is None or value == "" or (isinstance(value, str) and not value.strip()):
        raise Refusal(Reason.MISSING, f"The {name} parameter cannot be empty!")
    if not isinstance(value, str):
        raise Refusal(Reason.WRONG, f"The {name} parameter must be a string.")
    return value


async def drain(request: web.Request) -> None:
    """Read the rest of a body and forget it."""
    async for _ in request.content.iter_any():
        pass
