"""Wire format: the envelopes of the three hosts, for success and for refusal. Pure.

The documentation shows several dialects, which changed over time; `Dialect` chooses among them. Where
the pages are silent, as about the words of a refusal on the caption host, the form used here is
stated beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, get_args

from attrs import Factory, frozen

from memories_async._protocol import wire_json

__all__ = [
    "Dialect",
    "PageReply",
    "Reason",
    "Refusal",
    "RouteHost",
    "encode",
    "explain_os_error",
    "refuse",
    "refuse_with_code",
    "succeed",
]

_TEXT_NUMBERS = frozenset(
    {
        *("start_time", "end_time", "duration", "size", "create_time", "createTime"),
        *("total_count", "totalCount"),
    }
)
"""Fields that recorded answers have as text."""
_STATUSES = frozenset(int(status) for status in HTTPStatus)


class RouteHost(Enum):
    """One of the hosts whose routes share the port of the service: those of the pages, and the storage."""

    V1 = "api"
    V2 = "mavi-backend"
    SECURITY = "security"
    STORAGE = "storage"


class Reason(Enum):
    """Why a request is refused: code of the search host, HTTP status of the embedding host."""

    MISSING = ("0001", 400)
    WRONG = ("0003", 400)
    NOT_FOUND = ("0001", 404)
    NOT_ALLOWED = ("0001", 405)
    UNSUPPORTED = ("0001", 415)
    UNAUTHORIZED = ("0401", 401)
    NO_POINTS = ("0402", 402)
    DISABLED = ("0403", 403)
    LIMIT = ("0429", 429)
    ENGINE_FAILED = ("0424", 424)  # in no page: only this service has an engine
    FAILED = ("0500", 500)

    @property
    def code(self) -> str:
        """Business code of the search host."""
        return self.value[0]

    @property
    def status(self) -> int:
        """HTTP status and code of the embedding host."""
        return self.value[1]


class Refusal(Exception):
    """A request that is refused; `str()` is the message of the reply."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Refuse for *reason* with *message*."""
        super().__init__(message)
        self.reason = reason


Names = Literal["documented", "camel", "snake"]
FailedWord = Literal["FAILED", "FAIL", "PARSE_ERROR", "ERROR"]
Unparsed = Literal["refused", "empty"]


@frozen(kw_only=True)
class Dialect:
    """The form of the answers, where pages and recorded answers differ."""

    v2_code: Literal["0000", 200] = "0000"
    """Code of a success on the embedding host: a string, or the number 200 on newer pages."""
    empty: Literal["list", "object", "null"] = "list"
    """`data` of a search that finds no clip."""
    text_numbers: bool = False
    """Send times, sizes and counts of the search host as text, as recorded answers do; scores and
    page numbers stay numbers."""
    flags: bool = True
    """Send `success` and `failed`; the oldest answers have neither."""
    security_statuses: bool = False
    """Let the caption host refuse by HTTP status too; its page shows only -1 with HTTP 200."""
    names: Names = "documented"
    """Field names of the video library: `documented` is `videoNo` in answers to uploads and
    `video_no` elsewhere."""
    short_uploads: bool = False
    """Answer an upload with its number and name only, as a recorded answer does."""
    stem_names: bool = False
    """Name videos of the library without their extension, as recorded answers do."""
    null_words: bool = False
    """Write an absent field of a video as the text "null", as older lists do."""
    failed_word: FailedWord = "FAILED"
    """Status of a video that cannot be parsed; each is in a page or a recorded answer."""
    unparsed: Unparsed = "refused"
    """Answer to a search in a video that is not parsed yet: a refusal, or no clip."""

    def __attrs_post_init__(self) -> None:
        """Raise `ValueError` for values that the types forbid."""
        if self.v2_code not in ("0000", 200) or self.empty not in ("list", "object", "null"):
            raise ValueError("v2_code is '0000' or 200; empty is list, object or null")
        words = ((self.names, Names), (self.failed_word, FailedWord), (self.unparsed, Unparsed))
        for value, allowed in words:
            if value not in get_args(allowed):
                raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")


@frozen(kw_only=True)
class PageReply:
    """A reply before it is written to the socket."""

    status: int = 200
    code: str
    """The business code as text, for the request log."""
    payload: Mapping[str, Any]
    headers: Mapping[str, str] = Factory(dict[str, str])
    file: Path | None = None
    """The file that is sent instead of *payload*, for a download."""


def encode(document: Any) -> bytes:
    """Write JSON; a lone surrogate that a caller sent is escaped, as JSON allows."""
    try:
        return wire_json.dumps(document)
    except UnicodeEncodeError:
        return json.dumps(document).encode("ascii")


def succeed(host: RouteHost, answer: Any, dialect: Dialect) -> PageReply:
    """Build the reply of *host* to a request that succeeded with *answer*."""
    if host is RouteHost.STORAGE:
        return PageReply(code="200", payload={})
    if host is RouteHost.SECURITY:
        return PageReply(code="0", payload={"code": 0, "msg": "success", "data": answer})
    code = dialect.v2_code if host is RouteHost.V2 else "0000"
    data = _translate(answer, dialect) if host is RouteHost.V1 else answer
    payload = {"code": code, "msg": "success", "data": data, **_build_flags(dialect, success=True)}
    return PageReply(code=str(code), payload=payload)


def refuse(host: RouteHost, refusal: Refusal, dialect: Dialect) -> PageReply:
    """Build the reply of *host* to a request that is refused."""
    reason, message = refusal.reason, str(refusal)
    if reason is Reason.LIMIT and host is RouteHost.V2:
        message = "Rate limit exceeded"
    return refuse_with_code(host, reason.code, message, dialect, status=reason.status)


def explain_os_error(error: OSError) -> str:
    """Explain, without a path, that the service could not use a file of its own."""
    return f"The service cannot use a file: {error.strerror or type(error).__name__}."


def refuse_with_code(
    host: RouteHost, code: str, message: str, dialect: Dialect, *, status: int | None = None
) -> PageReply:
    """Build a refusal with a *code* of the search host; *status* is the HTTP status for it.

    A failure of the service itself is HTTP 500 on every host; one of the engine has a code of its own.
    """
    number = int(code) if code.isdecimal() else 0
    is_error = number in _STATUSES and number >= HTTPStatus.BAD_REQUEST
    http = status or (number if is_error else 400)
    failed = http if http >= HTTPStatus.INTERNAL_SERVER_ERROR else 200
    payload: dict[str, Any]
    if host in {RouteHost.V2, RouteHost.STORAGE}:
        payload = {"code": http, "msg": message, "data": None}
        return PageReply(status=http, code=str(http), payload=payload)
    if host is RouteHost.SECURITY:
        own = http if code == Reason.ENGINE_FAILED.code else -1
        payload = {"code": own, "msg": message, "data": None}
        return PageReply(
            status=http if dialect.security_statuses else failed, code=str(own), payload=payload
        )
    payload = {"code": code, "msg": message, "data": None, **_build_flags(dialect, success=False)}
    return PageReply(status=failed, code=code, payload=payload)


def _build_flags(dialect: Dialect, *, success: bool) -> dict[str, bool]:
    return {"success": success, "failed": not success} if dialect.flags else {}


def _translate(answer: Any, dialect: Dialect) -> Any:
    if answer == []:
        nothing: dict[str, Any] = {"list": [], "object": {}, "null": None}
        return nothing[dialect.empty]
    return _convert_numbers_to_text(answer) if dialect.text_numbers else answer


def _convert_numbers_to_text(answer: Any) -> Any:
    if wire_json.is_array(answer):
        return [_convert_numbers_to_text(item) for item in answer]
    if not wire_json.is_object(answer):
        return answer
    return {
        name: str(value)
        if name in _TEXT_NUMBERS and isinstance(value, int | float)
        else _convert_numbers_to_text(value)
        for name, value in answer.items()
    }
