"""Calls to any endpoint of the service, and a call's answer together with the reply behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from attrs import field, fields, fields_dict, frozen

from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_text
from memories_async._protocol.call import Body, Call, Fields, Form, Json, Part
from memories_async._protocol.decode import return_data
from memories_async._protocol.reply import Host, Reply
from memories_async.errors import Billed
from memories_async.limiter import Limits
from memories_async.media import Source, check_file_name, prepare_file

T = TypeVar("T")


def request(
    method: str,
    host: Host | Literal["search", "captions", "embeddings"],
    path: str,
    *,
    json: Mapping[str, Any] | Sequence[Any] | None = None,
    form: Mapping[str, str | Source] | None = None,
    query: Mapping[str, str | int] | None = None,
    unit: str | None = "request",
    family: str = "other",
    repeatable: bool = False,
    decode: Callable[[Any], T] = return_data,
) -> Call[T]:
    """Describe a request to an endpoint that this package has no function for.

    The call goes through the same limiter, ledger, budget, errors and batches as every other.
    *host* is one of the service's three APIs (`Hosts`); *path* begins with a slash. *json* is sent
    as `application/json`. *form* is sent as `application/x-www-form-urlencoded`, or as
    `multipart/form-data` where one of its values is a file: bytes, a `pathlib.Path` or an open file.

    *unit* is what a success is billed as, for budgets and the ledger; None says that it is free.
    *repeatable* says that a repeat changes nothing. A call whose outcome is unknown is sent again
    by itself only if it is both free and repeatable; without either, it counts as billed and is never
    repeated. *family* is the rate limit it counts against, a field of `Limits`. *decode* reads the
    `data` of a successful reply; what it raises becomes `BadReply`, which keeps the reply. The data is
    returned as it came without one. Raises `ValueError` or `TypeError` for an argument that
    cannot be sent.
    """
    verb, where = check_text("method", method).upper(), check_text("path", path)
    if verb not in {"GET", "POST", "PUT", "PATCH", "DELETE"}:
        raise ValueError(f"method must be GET, POST, PUT, PATCH or DELETE, not {method!r}")
    if not where.startswith("/") or not where.isprintable() or set(where) & set(" ?#"):
        raise ValueError(f"path must begin with / and have no query or blank, not {path!r}")
    _check_mapping("query", query)
    _check_mapping("form", form)
    if family not in fields_dict(Limits):
        raise ValueError(f"family must be one of {', '.join(fields_dict(Limits))}, not {family!r}")
    return Call(
        name=f"{verb} {where}",
        host=Host(host),
        method=verb,
        path=where,
        body=_build_body(json, form),
        query=tuple((name, _format_value(name, value)) for name, value in (query or {}).items()),
        family=family,
        unit=unit,
        repeatable=repeatable,
        decode=decode,
    )


def _check_mapping(name: str, given: object) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping, not {type(given).__name__}")


def _format_value(name: str, value: object) -> str:
    """Write a value of the query. `str` of any other type is seldom what the service reads."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(f"query[{name!r}] must be a str or an int, not {type(value).__name__}")
    return str(value)


def _build_body(
    json: Mapping[str, Any] | Sequence[Any] | None, form: Mapping[str, str | Source] | None
) -> Body:
    if json is not None and form is not None:
        raise ValueError("json and form cannot both be the body of one request")
    if isinstance(json, str | bytes):
        raise TypeError(f"json must be a mapping or a sequence, not {type(json).__name__}")
    if json is not None:
        # A copy, which also refuses what is no JSON: the call must not change with the caller's data.
        document = wire_json.loads(wire_json.dumps(json))
        return Json(document if wire_json.is_object(document) else tuple(document))
    if form is None:
        return None
    # A form with files, if a value is one.
    texts = tuple((name, value) for name, value in form.items() if isinstance(value, str))
    if len(texts) == len(form):
        return Fields(texts)
    return Form(
        tuple(
            Part(check_file_name("a name in form", name), value)
            if isinstance(value, str)
            else Part(
                check_file_name("a name in form", name), prepare_file(f"form[{name!r}]", value)
            )
            for name, value in form.items()
        )
    )


@frozen(kw_only=True)
class Exchange(Generic[T]):
    """A call's answer, together with the service's reply that it was read from."""

    answer: T
    reply: Reply
    """The reply: `status`, `headers` (names in lower case) and the raw `body`."""
    attempts: int
    """Requests that were begun for the call; 0 where the ledger answered it."""
    billed: Billed
    """Whether this exchange was charged: `no` for a free call and for an answer of the ledger."""


@frozen(kw_only=True)
class RepliedCall(Call[tuple[T, Reply]]):
    """A call that is read as its answer and the reply itself. It has the identity of *inner*."""

    inner: Call[T] = field(eq=False)

    def read(self, reply: Reply) -> tuple[T, Reply]:
        """Return the answer and *reply*, or raise what the reply means."""
        return self.inner.read(reply), reply


def keep_reply(call: Call[T]) -> RepliedCall[T]:
    """Return *call*, to be read together with its reply."""
    given: dict[str, Any] = {one.name: getattr(call, one.name) for one in fields(Call)}
    return RepliedCall(**given, inner=call)


__all__ = ["Call", "Exchange", "Host", "Reply", "keep_reply", "request"]
