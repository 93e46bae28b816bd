"""The three hosts' envelopes, and what each says when it refuses. Pure.

The pages document three dialects, and each changed over time; `Dialect` chooses among the documented
forms. Where the pages are silent (how the caption host words a refusal, for one), the form taken
here is stated beside it.
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

__all__ = ["Dialect", "Host", "Reason", "Refusal", "Reply", "coded", "encode", "refuse", "succeed"]

_STATUSES = frozenset(int(status) for status in HTTPStatus)


class Host(Enum):
    """One of the three servers whose routes share our port."""

    V1 = "api"
    V2 = "mavi-backend"
    SECURITY = "security"


class Reason(Enum):
    """Why a request is refused: the search host's code and the embedding host's HTTP status."""

    MISSING = ("0001", 400)
    WRONG = ("0003", 400)
    NOT_FOUND = ("0001", 404)
    NOT_ALLOWED = ("0001", 405)
    UNSUPPORTED = ("0001", 415)
    UNAUTHORIZED = ("0401", 401)
    NO_POINTS = ("0402", 402)
    DISABLED = ("0403", 403)
    LIMIT = ("0429", 429)
    FAILED = ("0500", 500)

    @property
    def code(self) -> str:
        """The search host's business code."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The embedding host's HTTP status, which is its code as well."""
        return self.value[1]


class Refusal(Exception):
    """A request that is answered with no; `str()` is the sentence that goes out."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Refuse for *reason*, telling the caller *message*."""
        super().__init__(message)
        self.reason = reason


Names = Literal["documented", "camel", "snake"]
FailedWord = Literal["FAILED", "FAIL", "PARSE_ERROR", "ERROR"]
Unparsed = Literal["refused", "empty"]


@frozen(kw_only=True)
class Dialect:
    """Which of the documented dialects the service speaks."""

    v2_code: Literal["0000", 200] = "0000"
    """The embedding host's success: text in the seed page, the number 200 in the newer ones."""
    empty: Literal["list", "object", "null"] = "list"
    """What a search without any clip answers as `data`."""
    text_numbers: bool = False
    """Send a clip's numbers as text, as the sibling search does."""
    flags: bool = True
    """Send `success` and `failed`; the oldest answers had neither."""
    security_statuses: bool = False
    """Let the caption host refuse by HTTP status, too. The page knows only -1 inside HTTP 200."""
    names: Names = "documented"
    """How the library spells fields: documented is `videoNo` in upload answers, `video_no` else."""
    short_uploads: bool = False
    """Answer an upload with its number and name alone, as a recorded answer has it."""
    null_words: bool = False
    """Write an absent field of a video as the text "null", as older lists did."""
    failed_word: FailedWord = "FAILED"
    """Status of a video that cannot be parsed; each stands in some page or recorded answer."""
    unparsed: Unparsed = "refused"
    """What a search in a video that is not parsed yet gets: a refusal, or no clip."""

    def __attrs_post_init__(self) -> None:
        """Refuse what JSON may bring and the types forbid."""
        if self.v2_code not in ("0000", 200) or self.empty not in ("list", "object", "null"):
            raise ValueError("v2_code is '0000' or 200; empty is list, object or null")
        words = ((self.names, Names), (self.failed_word, FailedWord), (self.unparsed, Unparsed))
        for value, allowed in words:
            if value not in get_args(allowed):
                raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")


@frozen(kw_only=True)
class Reply:
    """An answer before it is written to the socket."""

    status: int = 200
    code: str
    """The business code as text, for the request_log."""
    payload: Mapping[str, Any]
    headers: Mapping[str, str] = Factory(dict[str, str])
    file: Path | None = None
    """What goes out instead of *payload*, for a download."""


def encode(document: Any) -> bytes:
    """Write JSON; half a character that a caller sent goes back escaped, as JSON allows."""
    try:
        return wire_json.dumps(document)
    except UnicodeEncodeError:
        return json.dumps(document).encode("ascii")


def succeed(host: Host, answer: Any, dialect: Dialect) -> Reply:
    """Wrap *answer* as *host* does on success."""
    if host is Host.SECURITY:
        return Reply(code="0", payload={"code": 0, "msg": "success", "data": answer})
    code = dialect.v2_code if host is Host.V2 else "0000"
    shown = _dialect(answer, dialect) if host is Host.V1 else answer
    payload = {"code": code, "msg": "success", "data": shown, **_flags(dialect, success=True)}
    return Reply(code=str(code), payload=payload)


def refuse(host: Host, refusal: Refusal, dialect: Dialect) -> Reply:
    """Word *refusal* as *host* does."""
    reason, message = refusal.reason, str(refusal)
    if reason is Reason.LIMIT and host is Host.V2:
        message = "Rate limit exceeded"
    return coded(host, reason.code, message, dialect, status=reason.status)


def coded(
    host: Host, code: str, message: str, dialect: Dialect, *, status: int | None = None
) -> Reply:
    """Say no with any business *code*, spelt as the search host does; *status* is its HTTP twin.

    A failure of the service itself is HTTP 500 on every host.
    """
    http = status or _twin(code)
    failed = http if http >= HTTPStatus.INTERNAL_SERVER_ERROR else 200
    payload: dict[str, Any]
    if host is Host.V2:
        payload = {"code": http, "msg": message, "data": None}
        return Reply(status=http, code=str(http), payload=payload)
    if host is Host.SECURITY:
        payload = {"code": -1, "msg": message, "data": None}
        return Reply(
            status=http if dialect.security_statuses else failed, code="-1", payload=payload
        )
    payload = {"code": code, "msg": message, "data": None, **_flags(dialect, success=False)}
    return Reply(status=failed, code=code, payload=payload)


def _twin(code: str) -> int:
    number = int(code) if code.isdecimal() else 0
    return number if number in _STATUSES and number >= HTTPStatus.BAD_REQUEST else 400


def _flags(dialect: Dialect, *, success: bool) -> dict[str, bool]:
    return {"success": success, "failed": not success} if dialect.flags else {}


def _dialect(answer: Any, dialect: Dialect) -> Any:
    if answer == []:
        nothing: dict[str, Any] = {"list": [], "object": {}, "null": None}
        return nothing[dialect.empty]
    return _as_text(answer) if dialect.text_numbers else answer


def _as_text(answer: Any) -> Any:
    if wire_json.is_array(answer):
        return [_as_text(item) for item in answer]
    if wire_json.is_object(answer):
        return {name: _as_text(item) for name, item in answer.items()}
    return str(answer) if isinstance(answer, int | float) else answer
