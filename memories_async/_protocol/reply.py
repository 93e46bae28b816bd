"""What a reply means: three envelopes, one verdict. Pure.

The service signals failure in three dialects (HTTP status, a business code inside HTTP 200, or
both) and the pages disagree; the rules here follow the contract's section on envelopes: normalise
`code` to text; success is `0000`, `0` or `200`, with `failed` not true and `success` not false;
HTTP 400 and above is never success; a reply that says both yes and no is neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any

from attrs import field, frozen

from memories_async._protocol import wire_json
from memories_async._protocol.retry_after import read_retry_after
from memories_async.errors import (
    AuthenticationFailed,
    BadReply,
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


@frozen(kw_only=True)
class Reply:
    """A complete answer, as it came."""

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
    429: RateLimited,
    9009: PermissionDenied,
}
_SUCCESS = frozenset({"0000", "0", "200"})
# Statuses that say nothing about whether the work was done.
_UNDECIDED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


def unwrap(reply: Reply, host: Host) -> Any:
    """Return the `data` of a success, or raise what the reply says instead."""
    if reply.saved is not None:
        return reply.saved
    document = _document(reply)
    failure = _failure(reply, host, document)
    if failure is not None:
        raise failure
    return document.get("data")


def build_bad_reply(reply: Reply, reason: str) -> BadReply:
    """Report a success that cannot be used: it was paid, so its body is kept."""
    return BadReply(reason, status=reply.status, body=reply.body)


def _document(reply: Reply) -> dict[str, Any]:
    try:
        document = wire_json.loads(reply.body)
    except wire_json.NotJson as error:
        if reply.status == HTTPStatus.OK:
            raise build_bad_reply(reply, f"the reply is {error}") from None
        return {}
    if wire_json.is_object(document):
        return document
    if reply.status == HTTPStatus.OK:
        raise build_bad_reply(reply, "the reply is not a JSON object")
    return {}


def _failure(reply: Reply, host: Host, document: dict[str, Any]) -> MemoriesError | None:
    if reply.status == HTTPStatus.OK:
        return _verdict(reply, document)
    if reply.status < HTTPStatus.BAD_REQUEST:
        return _unexpected(reply)
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _UNDECIDED:
        return OutcomeUnknown(_sentence(document, reply), **_facts(reply, document))
    # On the search and caption hosts the code decides; v2 promises that the status does.
    by_code = host is not Host.EMBEDDINGS and reply.status != HTTPStatus.TOO_MANY_REQUESTS
    kind = _kind(_code(document)) if by_code else None
    return _refusal(kind or _REFUSALS.get(reply.status, InvalidRequest), reply, document)


def _unexpected(reply: Reply) -> MemoriesError:
    target = reply.headers.get("location")
    if target is not None:
        where = _printable(target.split("?")[0])
        return Refused(f"the service redirects to {where}; not followed", status=reply.status)
    return OutcomeUnknown(
        "the service sent an unexpected status", status=reply.status, body=reply.body
    )


def _verdict(reply: Reply, document: dict[str, Any]) -> MemoriesError | None:
    """Judge a reply of HTTP 200 by what is inside."""
    code = _code(document)
    denied = document.get("failed") is True or document.get("success") is False
    if code is None:
        return build_bad_reply(reply, "the reply has no readable code")
    if code in _SUCCESS:
        return (
            build_bad_reply(reply, "the reply says success and failure at once") if denied else None
        )
    if document.get("success") is True or document.get("failed") is False:
        return build_bad_reply(reply, f"the reply says code {code} and success at once")
    if re.fullmatch(r"0?5\d\d", code):  # HTTP's 5xx, as a code
        return OutcomeUnknown(_sentence(document, reply), **_facts(reply, document))
    return _refusal(_kind(code) or _by_words(document), reply, document)


def _refusal(kind: type[Refused], reply: Reply, document: dict[str, Any]) -> Refused:
    message = _sentence(document, reply)
    # The code 0001 means a bad parameter, except when it means a bad moment.
    passing = kind is RateLimited or "network abnormal" in message.lower()
    return kind(message, transient=passing, **_facts(reply, document))


def _kind(code: str | None) -> type[Refused] | None:
    return _REFUSALS.get(int(code)) if code is not None and code.isdecimal() else None


def _by_words(document: dict[str, Any]) -> type[Refused]:
    """Read the sentence of a refusal whose code tells nothing, as the caption host's -1."""
    words = str(document.get("msg", "")).lower()
    if "exceeded the limit" in words or "rate limit" in words:
        return RateLimited
    if re.search(r"(insufficient|not enough).*(point|credit|balance)", words):
        return InsufficientCredits
    return Refused


def _code(document: Mapping[str, Any]) -> str | None:
    code = document.get("code")
    if isinstance(code, float) and code.is_integer():
        return str(int(code))
    if isinstance(code, int | str) and not isinstance(code, bool):
        return _printable(str(code), limit=20)
    return None


def _facts(reply: Reply, document: Mapping[str, Any]) -> dict[str, Any]:
    wait = read_retry_after(reply.headers, now=reply.at)
    return {"status": reply.status, "code": _code(document), "retry_after": wait}


def _sentence(document: Mapping[str, Any], reply: Reply) -> str:
    for name in ("msg", "message", "error"):
        words = document.get(name)
        if isinstance(words, str) and words:
            return _printable(words)
    return HTTPStatus(reply.status).phrase if reply.status in _STATUSES else "no reason given"


_STATUSES = frozenset(HTTPStatus)


def _printable(words: str, *, limit: int = 300) -> str:
    """Keep a stranger's words short and free of control characters."""
    if words.isprintable():
        return words[:limit]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[:limit])
