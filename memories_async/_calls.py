"""Calls as values: what one endpoint is asked, what it costs, how to read the reply. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from attrs import evolve, field, frozen
from cattrs import BaseValidationError, transform_error

from memories_async import _json
from memories_async._replies import Host, Reply, unreadable, unwrap
from memories_async.media import Media

T = TypeVar("T")


def _read_only(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(document))


@frozen
class Json:
    """A body, or a part of one, that is a JSON object."""

    document: Mapping[str, Any] = field(converter=_read_only)

    def encoded(self) -> bytes:
        """Write the document in the order its page gives."""
        return _json.dumps(dict(self.document))

    def __reduce__(self) -> tuple[Any, ...]:
        return Json, (dict(self.document),)


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


@frozen(kw_only=True)
class Call(Generic[T]):
    """One request to the service, not yet sent. Building one costs nothing and does no network I/O."""

    name: str
    """Module and function that built it, such as `clips.search`."""
    host: Host
    path: str
    body: Json | Form
    family: str
    """Which of the account's limits it counts against; a field of `Limits`."""
    unit: str | None
    """What a success is billed as (`search`, `caption`, `embedding`), or None if it is free."""
    repeatable: bool
    """Whether a repeat changes nothing but the bill."""
    needs_callback: bool = False
    """Whether a callback URL must still be filled in, by the client's receiver."""
    decode: Callable[[Any], T] = field(repr=False)

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
        return evolve(self, body=_with_callback(self.body, url), needs_callback=False)


def _with_callback(body: Json | Form, url: str) -> Json | Form:
    if isinstance(body, Json):
        return Json({**body.document, "callback": url})
    return Form(tuple(_part_with_callback(part, url) for part in body.parts))


def _part_with_callback(part: Part, url: str) -> Part:
    if not isinstance(part.content, Json):
        return part
    return evolve(part, content=Json({**part.content.document, "callback": url}))


def fingerprint(call: Call[Any], account: str) -> str:
    """Hash what *call* asks on behalf of *account* (hex): equal calls, equal fingerprints.

    It covers the endpoint, the arguments and the content of each medium, whatever its file is
    called. Files are read, so run it in a thread.
    """
    asked = [call.name, call.path, account, _asked(call.body)]
    return hashlib.blake2b(_json.canonical(asked), digest_size=20).hexdigest()


def _asked(body: Json | Form) -> Any:
    if isinstance(body, Json):
        return dict(body.document)
    return [[part.name, _content(part.content)] for part in body.parts]


def _content(content: str | Json | Media) -> Any:
    if isinstance(content, Media):
        return [content.content_type, content.digest()]
    return _asked(content) if isinstance(content, Json) else content


def text(argument: str, value: str) -> str:
    """Check that an argument is text with something in it."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{argument} must not be empty")
    return value


__all__ = ["Call", "Form", "Json", "Part", "fingerprint", "text"]
