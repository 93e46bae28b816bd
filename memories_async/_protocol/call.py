"""Calls as values: what one request asks, what it costs, and how to read its reply. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from attrs import evolve, field, frozen
from cattrs import BaseValidationError, transform_error

from memories_async._protocol import wire_json
from memories_async._protocol.reply import Host, Reply, build_bad_reply, check_stored, unwrap
from memories_async.media import Media

T = TypeVar("T")


def _freeze(document: Mapping[str, Any] | tuple[Any, ...]) -> _Document:
    return document if isinstance(document, tuple) else MappingProxyType(dict(document))


_Document = MappingProxyType[str, Any] | tuple[Any, ...]


@frozen
class Json:
    """A body, or a part of one, that is a JSON object, or a JSON array given as a tuple."""

    document: _Document = field(converter=_freeze)

    @property
    def plain(self) -> Any:
        """The document in the types that `json` writes."""
        return self.document if isinstance(self.document, tuple) else self.document.copy()

    def encode(self) -> bytes:
        """Write the document, its fields in the order of the service's page."""
        return wire_json.dumps(self.plain)

    def __reduce__(self) -> tuple[Any, ...]:
        return Json, (self.plain,)


@frozen
class Fields:
    """A body of form fields without files (`application/x-www-form-urlencoded`)."""

    fields: tuple[tuple[str, str], ...]

    def encode(self) -> bytes:
        """Write the fields, percent-encoded."""
        return urlencode(self.fields).encode()


@frozen
class Part:
    """One part of a form: the text of a field, a JSON document or a file."""

    name: str
    content: str | Json | Media
    file_name: str | None = None


@frozen
class Form:
    """A body with files (`multipart/form-data`)."""

    parts: tuple[Part, ...]

    @property
    def media(self) -> tuple[Media, ...]:
        """The files among the parts."""
        return tuple(part.content for part in self.parts if isinstance(part.content, Media))


Body = Json | Fields | Form | None
Progress = Callable[[int, int], None]
"""Called during an upload with the bytes sent so far and the bytes of the whole body.

It runs on the event loop, so it must return quickly. The count starts at 0 again when an upload that
was refused, or that was never sent, is repeated."""


@frozen(kw_only=True)
class Call(Generic[T]):
    """One request to the service, not yet sent. Building one costs nothing and uses no network."""

    name: str
    """Module and function that built it, such as `clips.search`."""
    host: Host
    path: str
    body: Body = None
    method: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    family: str
    """The rate limit that the call counts against; a field of `Limits`."""
    unit: str | None
    """What a success is billed as, such as `search`, `caption` or `embedding`; None if it is free."""
    repeatable: bool
    """Whether a repeat has no effect other than another bill."""
    needs_callback: bool = False
    """Whether the client's receiver must fill in a callback URL before the call is sent."""
    welcomes_callback: bool = False
    """Whether the client's receiver, if there is one, may fill in a callback URL."""
    progress: Progress | None = field(default=None, repr=False, eq=False)
    allowance: float = 0.0
    """Seconds that a long transfer adds to the policy's deadline. A transfer that stands still is
    ended by the policy's `timeout` all the same."""
    tag: str | None = field(default=None, eq=False)
    """The caller's own id of the call, for a caption. It is not sent, and no part of the identity."""
    patience: float = 0.0
    """Seconds that the service works before it answers, for which the policy's `timeout` and deadline
    wait in addition."""
    storage_url: str | None = field(default=None, repr=False)
    """The address outside the service's hosts that the call is sent to instead of *path*. The API key is
    not sent there, and a reply is read by its status alone."""
    save_to: Path | None = None
    """The file that a binary answer is written to; None where the answer is JSON."""
    prepare: Callable[[Call[Any]], AbstractAsyncContextManager[Call[Any]]] | None = field(
        default=None, repr=False, eq=False
    )
    """Makes what the call sends, such as a piece of a film, when it is about to be sent; the identity
    of the call stays the same. What it yields is sent while it is open."""
    # It follows from the name and the arguments, and partial functions do not compare.
    decode: Callable[[Any], T] = field(repr=False, eq=False)

    @property
    def is_free(self) -> bool:
        """Whether a success costs nothing."""
        return self.unit is None

    @property
    def media(self) -> tuple[Media, ...]:
        """The files that the call uploads."""
        return self.body.media if isinstance(self.body, Form) else ()

    @property
    def target(self) -> str:
        """Path and query, as in the request line."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def read(self, reply: Reply) -> T:
        """Return the typed answer in *reply*, or raise the `MemoriesError` that it means. Pure."""
        if self.storage_url is not None:
            check_stored(reply)
            return self.decode(None)
        data = unwrap(reply, self.host, is_free=self.is_free)
        try:
            return self.decode(data)
        except BaseValidationError as error:
            reasons = "; ".join(transform_error(error, path=self.name))
        except (TypeError, ValueError, RecursionError) as error:
            reasons = str(error)
        except Exception as error:  # noqa: BLE001  # of a caller's `decode`: a paid reply is kept
            reasons = f"{type(error).__name__}: {error}"
        reason = f"the reply has an unexpected form: {reasons[:300]}"
        raise build_bad_reply(reply, reason, is_free=self.is_free)

    def with_extra(self, extra: Mapping[str, Any] | None, reserved: Iterable[str] = ()) -> Call[T]:
        """Return the call with fields of *extra*, which its builder does not know, beside its own.

        They go where the call's own arguments go: into the JSON document, the form or the query.
        *reserved* are arguments of the builder that this call may leave unset. Raises `ValueError` for
        one of them or another field that the call has itself, and `TypeError` for what is no JSON.
        """
        if not extra:
            return self
        document = wire_json.loads(_dump_extra(extra))
        body, pairs = self.body, tuple(_list_pairs(document))
        taken = {name for name, _ in self.query} | {"callback", *reserved}
        changed: dict[str, Any] = {"query": (*self.query, *pairs)}
        if isinstance(body, Json) and not isinstance(body.document, tuple):
            taken |= body.document.keys()
            changed = {"body": Json({**body.document, **document})}
        elif isinstance(body, Fields):
            taken |= {name for name, _ in body.fields}
            changed = {"body": Fields((*body.fields, *pairs))}
        elif isinstance(body, Form):
            taken |= {part.name for part in body.parts}
            request = next((one for one in body.parts if isinstance(one.content, Json)), None)
            if request is None:
                changed = {"body": Form((*body.parts, *(Part(*pair) for pair in pairs)))}
            elif isinstance(request.content, Json):
                known = request.content.plain
                taken |= known.keys()
                full = evolve(request, content=Json({**known, **document}))
                parts = tuple(full if part is request else part for part in body.parts)
                changed = {"body": Form(parts)}
        if both := sorted(taken & extra.keys()):
            raise ValueError(f"extra must not hold {both[0]!r}, which {self.name} sends itself")
        return evolve(self, **changed)

    def with_callback(self, url: str) -> Call[T]:
        """Return the call with *url* as the address to which the service delivers its result."""
        body: Body = self.body
        if isinstance(body, Json):
            body = _add_callback(body, url)
        elif isinstance(body, Fields):
            body = Fields((*body.fields, ("callback", url)))
        elif isinstance(body, Form):
            parts = [
                evolve(part, content=_add_callback(part.content, url))
                if isinstance(part.content, Json)
                else part
                for part in body.parts
            ]
            # The JSON part of a form holds its arguments; a form without one takes a field.
            if not any(isinstance(part.content, Json) for part in parts):
                parts.append(Part("callback", url))
            body = Form(tuple(parts))
        return evolve(self, body=body, needs_callback=False, welcomes_callback=False)


def _dump_extra(extra: Mapping[str, Any]) -> bytes:
    for name in extra:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.\[\]-]+", name):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise ValueError(f"extra must have names of letters, digits, _ . - [ ], not {name!r}")
    try:
        return wire_json.dumps(dict(extra))
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise TypeError(f"extra must hold what JSON can express: {error}") from None


def _list_pairs(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the fields of *document* as a form has them: an array as a field for each element."""
    for name, value in document.items():
        for one in value if wire_json.is_array(value) else (value,):
            yield name, one if isinstance(one, str) else wire_json.dumps(one).decode()


def _add_callback(content: Json, url: str) -> Json:
    return Json({**content.plain, "callback": url})


def estimate_transfer_time(size: int) -> float:
    """Seconds that *size* bytes take at one megabit a second."""
    return size * 8 / 1e6


def fingerprint(call: Call[Any], account: str) -> str:
    """Hash what *call* asks on behalf of *account* (hex): equal calls have equal fingerprints.

    The hash covers the endpoint, the arguments, the content of each medium and the account's name,
    and nothing else: no file name and no media type. It reads the files, so run it in a thread.
    """
    return derive_fingerprint(identify(call)[0], account)


def derive_fingerprint(content: bytes, account: str) -> str:
    """Combine what a call asks (see `identify`) with the name of the account."""
    return hashlib.blake2b(content + account.encode(), digest_size=20).hexdigest()


def identify(call: Call[Any]) -> tuple[bytes, bytes]:
    """Return the hash of what *call* asks, and its arguments as JSON with the hash of each medium."""
    arguments: Any = None
    if isinstance(call.body, Form):
        arguments = [[part.name, _identify_content(part.content)] for part in call.body.parts]
    elif isinstance(call.body, Fields):
        arguments = [list(pair) for pair in call.body.fields]
    elif call.body is not None:
        arguments = call.body.plain
    document = wire_json.canonical(arguments)
    return hash_content(call.name, call.method, call.target, document), document


def hash_content(name: str, method: str, target: str, document: bytes) -> bytes:
    """Hash what a call asks: its endpoint, and its arguments as a *document* of `identify`."""
    # None of the three can hold a NUL, so two different lists never give the same bytes.
    endpoint = f"{name}\0{method}\0{target}".encode()
    return hashlib.blake2b(document + endpoint, digest_size=20).digest()


def _identify_content(content: str | Json | Media) -> Any:
    if isinstance(content, Media):
        return ["blake2b", content.digest()]
    return content.plain if isinstance(content, Json) else content


__all__ = [
    "Body",
    "Call",
    "Fields",
    "Form",
    "Json",
    "Part",
    "Progress",
    "derive_fingerprint",
    "estimate_transfer_time",
    "fingerprint",
    "hash_content",
    "identify",
]
