"""Calls as values: what one endpoint is asked, what it costs, how to read the reply. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

from attrs import evolve, field, frozen
from cattrs import BaseValidationError, transform_error

from memories_async._protocol import wire_json
from memories_async._protocol.reply import Host, Reply, unreadable, unwrap
from memories_async.media import Media

T = TypeVar("T")


def _read_only(document: Mapping[str, Any] | tuple[Any, ...]) -> _Document:
    return document if isinstance(document, tuple) else MappingProxyType(dict(document))


_Document = Mapping[str, Any] | tuple[Any, ...]


@frozen
class Json:
    """A body, or a part of one, that is a JSON object, or a bare array as a tuple."""

    document: _Document = field(converter=_read_only)

    @property
    def plain(self) -> Any:
        """The document in the types that `json` writes."""
        return self.document if isinstance(self.document, tuple) else dict(self.document)

    def encoded(self) -> bytes:
        """Write the document in the order its page gives."""
        return wire_json.dumps(self.plain)

    def __reduce__(self) -> tuple[Any, ...]:
        return Json, (self.plain,)


@frozen
class Fields:
    """A body of form fields without files (`application/x-www-form-urlencoded`)."""

    fields: tuple[tuple[str, str], ...]

    def encoded(self) -> bytes:
        """Write the fields as the header promises."""
        return urlencode(self.fields).encode()


@frozen
class Part:
    """One part of a form: a field's text, a JSON document or a file."""

    name: str
    content: str | Json | Media
    file_name: str | None = None


@frozen
class Form:
    """A multipart body."""

    parts: tuple[Part, ...]

    @property
    def media(self) -> tuple[Media, ...]:
        """The files among the parts."""
        return tuple(part.content for part in self.parts if isinstance(part.content, Media))


Body = Json | Fields | Form | None
Progress = Callable[[int, int], None]
"""Told of an upload's bytes sent and in all, on the event loop: be quick. Counts from 0 again when an
upload that was refused, or that never left, is repeated."""


@frozen(kw_only=True)
class Call(Generic[T]):
    """One request to the service, not yet sent. Building one costs nothing and does no network I/O."""

    name: str
    """Module and function that built it, such as `clips.search`."""
    host: Host
    path: str
    body: Body = None
    method: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    family: str
    """Which of the account's limits it counts against; a field of `Limits`."""
    unit: str | None
    """What a success is billed as (`search`, `caption`, `embedding`), or None if it is free."""
    repeatable: bool
    """Whether a repeat changes nothing but the bill."""
    needs_callback: bool = False
    """Whether a callback URL must still be filled in, by the client's receiver."""
    welcomes_callback: bool = False
    """Whether the client's receiver, if there is one, may fill in a callback URL."""
    progress: Progress | None = field(default=None, repr=False, eq=False)
    allowance: float = 0.0
    """Seconds by which the client's deadline is later: a long transfer takes its time, and one that
    stands still is ended by the policy's `timeout`."""
    save_to: Path | None = None
    """Where a binary answer is written; None where the answer is JSON."""
    # It follows from the name and the arguments, and partial functions do not compare.
    decode: Callable[[Any], T] = field(repr=False, eq=False)

    @property
    def media(self) -> tuple[Media, ...]:
        """The files it carries."""
        return self.body.media if isinstance(self.body, Form) else ()

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def read(self, reply: Reply) -> T:
        """Return the typed answer, or raise what the reply says instead. Pure."""
        data = unwrap(reply, self.host)
        try:
            return self.decode(data)
        except BaseValidationError as error:
            reasons = "; ".join(transform_error(error, path=self.name))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            reasons = str(error)
        raise unreadable(reply, f"the reply has another form than promised: {reasons[:300]}")

    def with_callback(self, url: str) -> Call[T]:
        """Fill in where the result shall be delivered."""
        body = _with_callback(self.body, url)
        return evolve(self, body=body, needs_callback=False, welcomes_callback=False)


def _with_callback(body: Body, url: str) -> Body:
    if isinstance(body, Fields):
        return Fields((*body.fields, ("callback", url)))
    if isinstance(body, Form):
        return _form_with_callback(body, url)
    return _json_with_callback(body, url) if isinstance(body, Json) else body


def _form_with_callback(form: Form, url: str) -> Form:
    """Fill the callback into the form's JSON part; a form without one takes it as a field."""
    if not any(isinstance(part.content, Json) for part in form.parts):
        return Form((*form.parts, Part("callback", url)))
    return Form(tuple(_part_with_callback(part, url) for part in form.parts))


def _part_with_callback(part: Part, url: str) -> Part:
    if not isinstance(part.content, Json):
        return part
    return evolve(part, content=_json_with_callback(part.content, url))


def _json_with_callback(content: Json, url: str) -> Json:
    return Json({**content.plain, "callback": url})


def transfer_time(size: int) -> float:
    """Seconds that *size* bytes take on a line of one megabit a second."""
    return size * 8 / 1e6


def fingerprint(call: Call[Any], account: str) -> str:
    """Hash what *call* asks on behalf of *account* (hex): equal calls, equal fingerprints.

    It covers the endpoint, the arguments and the content of each medium, whatever its file is
    called. Files are read, so run it in a thread.
    """
    return identity(call, account)[0]


def identity(call: Call[Any], account: str) -> tuple[str, bytes]:
    """Return the fingerprint of *call*, and the JSON of what it asks, media by their hashes."""
    asked = wire_json.canonical(_asked(call.body))
    digest = hashlib.blake2b(asked, digest_size=20)
    # None of the four can hold a NUL, so no two lists of them run together alike.
    digest.update(f"{call.name}\0{call.method}\0{call.target}\0{account}".encode())
    return digest.hexdigest(), asked


def _asked(body: Body) -> Any:
    if isinstance(body, Form):
        return [[part.name, _content(part.content)] for part in body.parts]
    if isinstance(body, Fields):
        return [list(pair) for pair in body.fields]
    return None if body is None else body.plain


def _content(content: str | Json | Media) -> Any:
    if isinstance(content, Media):
        return [content.content_type, content.digest()]
    return content.plain if isinstance(content, Json) else content


def text(argument: str, value: str) -> str:
    """Check that an argument is text with something in it."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{argument} must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument} must be text that UTF-8 can write") from None
    return value


def web_url(argument: str, value: str) -> str:
    """Check that an argument is a full URL that a stranger could fetch."""
    if not _is_web_url(text(argument, value)):
        raise ValueError(f"{argument} must be a full http or https URL, not {value!r}")
    return value


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        return False
    return whole and parts.scheme in {"http", "https"} and value.isprintable()


__all__ = [
    "Body",
    "Call",
    "Fields",
    "Form",
    "Json",
    "Part",
    "Progress",
    "fingerprint",
    "identity",
    "text",
    "transfer_time",
    "web_url",
]
