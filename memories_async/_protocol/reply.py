"""What a reply means: a success, a refusal, or an unknown outcome. Pure.

The service signals failure by the HTTP status, by a code inside HTTP 200, or by both, and its pages
disagree. The rules: `code` is compared as text; success is `0000`, `0` or `200`, or no code beside a
success flag; HTTP 400 and above is never a success; a reply that says both yes and no is unreadable.
A refusal counts as one only by a documented code or status. Words may turn it into an unknown outcome.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from memories_async._protocol import wire_json
from memories_async._protocol.messages import find_kind, make_printable, read_message, says_trouble
from memories_async._protocol.network import hide_credentials
from memories_async._protocol.retry_after import read_retry_after
from memories_async.errors import (
    AuthenticationFailed,
    BadReply,
    Billed,
    Conflict,
    InsufficientCredits,
    InvalidRequest,
    MemoriesError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Refused,
)


class Host(Enum):
    """The service's three hosts; each has its own envelope."""

    SEARCH = "search"
    CAPTIONS = "captions"
    EMBEDDINGS = "embeddings"

    if not TYPE_CHECKING:
        # Each call looks up its host, and Enum's own hash is written in Python.
        __hash__ = object.__hash__


@frozen(kw_only=True)
class Reply:
    """A complete HTTP reply."""

    status: int
    body: bytes = field(repr=lambda body: f"<{len(body)} bytes>")
    headers: Mapping[str, str] = field(factory=dict[str, str])
    """Names in lower case."""
    at: float = 0.0
    """Unix time of arrival, for a `Retry-After` given as a date."""
    saved: int | None = None
    """Bytes that were written to the call's `save_to` instead of *body*."""


_REFUSALS: dict[int, type[Refused]] = {
    1: InvalidRequest,
    3: InvalidRequest,
    400: InvalidRequest,
    401: AuthenticationFailed,
    402: InsufficientCredits,
    403: PermissionDenied,
    404: InvalidRequest,
    405: InvalidRequest,
    409: Conflict,
    410: InvalidRequest,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    424: Refused,  # the embedded service, whose engine failed
    429: RateLimited,
    9009: PermissionDenied,
}
MAX_ERROR_BODY = 64 * 1024
"""Bytes of a reply that explains a failure that its error keeps."""
_SUCCESS = frozenset({"0000", "0", "200"})
# Statuses that do not say whether the work was done; 499 and 460 are a gateway's word for a client
# that did not wait for the answer.
_UNDECIDED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, 460, 499})
# The only redirects that tell that the request was not processed where it was sent.
_UNPROCESSED = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})


def unwrap(reply: Reply, host: Host, *, is_free: bool = False) -> Any:
    """Return the `data` of a success, or raise the error that *reply* means.

    A passing trouble is a refusal to try again where the call *is_free*, and an unknown outcome where
    it is billed. No error of a free call says that it may be billed.
    """
    if reply.saved is not None:
        return reply.saved
    document = _read_document(reply, is_free=is_free)
    code = document.get("code")
    if (
        reply.status == HTTPStatus.OK
        and (code == "0000" or (code == 0 and type(code) is int))
        and document.get("success", True) is True
        and document.get("failed", False) is False
    ):
        return document.get("data")  # the usual answer, first
    error = _find_error(reply, host, document, is_free=is_free)
    if error is not None:
        if is_free:
            error.billed = "no"
        raise error
    return document.get("data")


def check_stored(reply: Reply) -> None:
    """Raise the error that *reply* of a storage means, unless it took a file.

    A storage has no envelope, and does not bill.
    """
    if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if reply.status < HTTPStatus.BAD_REQUEST:
        error = _build_error(Refused, reply, message="the storage redirects; not followed")
    elif reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _UNDECIDED:
        error = _build_error(OutcomeUnknown, reply, message="the storage could not take the file")
    else:
        message = f"the storage refused the file (status {reply.status})"
        error = _build_error(_REFUSALS.get(reply.status, Refused), reply, message=message)
    error.billed = "no"
    raise error


def build_bad_reply(reply: Reply, reason: str, *, is_free: bool = False) -> BadReply:
    """Return the error for a success that cannot be read; it keeps the whole body, which may be paid."""
    billed: Billed = "no" if is_free else "maybe"
    return BadReply(
        reason, status=reply.status, headers=reply.headers, body=reply.body, billed=billed
    )


def _read_document(reply: Reply, *, is_free: bool) -> dict[str, Any]:
    try:
        document = wire_json.loads_leniently(reply.body, reply.headers.get("content-type", ""))
    except wire_json.NotJson as error:
        if reply.status == HTTPStatus.OK:
            raise build_bad_reply(reply, f"the reply is {error}", is_free=is_free) from None
        return {}
    if wire_json.is_object(document):
        return document
    if reply.status == HTTPStatus.OK:
        raise build_bad_reply(reply, "the reply is not a JSON object", is_free=is_free)
    return {"detail": document} if isinstance(document, str | list) else {}


def _find_error(
    reply: Reply, host: Host, document: dict[str, Any], *, is_free: bool
) -> MemoriesError | None:
    if reply.status == HTTPStatus.OK:
        return _judge_by_code(reply, document, is_free=is_free)
    if reply.status < HTTPStatus.BAD_REQUEST:
        return _judge_unexpected(reply, is_free=is_free)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _UNDECIDED:
        return _build_error(OutcomeUnknown, reply, document)
    # On the search and caption hosts the code decides; v2 documents that the status does.
    by_code = host is not Host.EMBEDDINGS and reply.status != HTTPStatus.TOO_MANY_REQUESTS
    kind = _look_up(_read_code(document)) if by_code else None
    kind = kind or _REFUSALS.get(reply.status, InvalidRequest)
    return _refuse(kind, reply, document, is_free=is_free)


def _judge_unexpected(reply: Reply, *, is_free: bool) -> MemoriesError:
    """Judge a status below 400 that is not 200: a redirect may follow the work, as 303 does."""
    target = reply.headers.get("location")
    if target is None:
        return _build_error(OutcomeUnknown, reply, message="the service sent an unexpected status")
    where = make_printable(hide_credentials(target))
    message = f"the service redirects to {where}; not followed"
    is_certain = is_free or reply.status in _UNPROCESSED
    return _build_error(Refused if is_certain else OutcomeUnknown, reply, message=message)


def _judge_by_code(
    reply: Reply, document: dict[str, Any], *, is_free: bool
) -> MemoriesError | None:
    """Judge a reply of HTTP 200 by its code and flags."""
    code, success, failed = (
        _read_code(document),
        _flag(document, "success"),
        _flag(document, "failed"),
    )
    is_denied, is_confirmed = failed is True or success is False, success is True or failed is False
    if document.get("code") is None and not is_denied:
        # Some recorded answers have no code: a flag, or an object of data alone, confirms them.
        has_data = wire_json.is_object(document.get("data")) and bool(document["data"])
        is_confirmed = is_confirmed or (has_data and "error" not in document)
        if is_confirmed:
            return None
    if code is None:
        return build_bad_reply(reply, "the reply has no readable code")
    if code in _SUCCESS:
        return (
            build_bad_reply(reply, "the reply says success and failure at once")
            if is_denied
            else None
        )
    if is_confirmed:
        return build_bad_reply(reply, f"the reply says code {code} and success at once")
    if re.fullmatch(r"0?(5[0-9]{2}|408|425|460|499)", code):  # HTTP's 5xx and the like, as a code
        return _build_error(OutcomeUnknown, reply, document)
    kind = _look_up(code)
    if kind is None:
        kind = find_kind(read_message(document, reply.body, reply.status)) or Refused
        return _refuse(kind, reply, document, is_free=is_free, is_inferred=True)
    return _refuse(kind, reply, document, is_free=is_free)


def _refuse(
    kind: type[Refused],
    reply: Reply,
    document: dict[str, Any],
    *,
    is_free: bool,
    is_inferred: bool = False,
) -> MemoriesError:
    """Return the refusal, or the unknown outcome that its words make of it.

    *is_inferred* says that *kind* follows from the words, and from no documented code or status.
    """
    is_rate_limit = kind is RateLimited
    has_trouble = says_trouble(read_message(document, reply.body, reply.status))
    if is_rate_limit or not has_trouble:
        error = _build_error(kind, reply, document)
        error.transient = is_rate_limit
        if isinstance(error, RateLimited):
            error.is_inferred = is_inferred
        return error
    if is_free:
        # A service that is busy does not say that the operation was done before.
        error = _build_error(Refused if kind is Conflict else kind, reply, document)
    else:
        # Something failed inside the service, perhaps after the work.
        error = _build_error(OutcomeUnknown, reply, document)
    error.transient = True
    return error


def _build_error(
    kind: type[MemoriesError],
    reply: Reply,
    document: Mapping[str, Any] | None = None,
    *,
    message: str | None = None,
) -> MemoriesError:
    document = document or {}
    return kind(
        message or read_message(document, reply.body, reply.status),
        status=reply.status,
        code=_read_code(document),
        retry_after=read_retry_after(reply.headers, now=reply.at),
        headers=reply.headers,
        # Below 400 the body may be a paid answer; above it is an explanation.
        body=reply.body if reply.status < HTTPStatus.BAD_REQUEST else reply.body[:MAX_ERROR_BODY],
    )


def _look_up(code: str | None) -> type[Refused] | None:
    """Return the documented kind of a refusal's code, which is digits in ASCII."""
    if code is None or re.fullmatch(r"[0-9]{1,4}", code) is None:
        return None
    return _REFUSALS.get(int(code))


def _read_code(document: Mapping[str, Any]) -> str | None:
    code = document.get("code")
    if isinstance(code, float) and code.is_integer():
        return str(int(code))
    if isinstance(code, int | str) and not isinstance(code, bool):
        text = str(code)
        return text if text in _SUCCESS else make_printable(text, limit=20)
    return None


def _flag(document: Mapping[str, Any], name: str) -> bool | None:
    """Read a flag, also one written as text; None if there is none."""
    value = document.get(name)
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None
