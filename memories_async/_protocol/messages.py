"""Reads the sentence in which a reply explains itself, and what its words say. Pure.

Words decide little: they may turn a refusal into an unknown outcome, they name the kind of a refusal
whose code is undocumented, and they never cause a billed call to be sent again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from memories_async._protocol import wire_json
from memories_async.errors import (
    AuthenticationFailed,
    InsufficientCredits,
    PermissionDenied,
    RateLimited,
    Refused,
)

MAX_LENGTH = 300
"""Characters of a message that are kept."""
# The service, Spring and Kong; FastAPI and problem+json; OAuth; AWS; Google, Apigee and GraphQL.
_MESSAGE_FIELDS = (
    *("msg", "message", "faultstring", "detail", "error_description", "errorMessage", "Message"),
    *("error", "errors", "fault", "reason", "description", "title", "cause"),
)
_TROUBLE = re.compile(
    r"network\W+(is\W+)?(abnormal|error|exception|anomaly|unstable)"
    r"|(internal|server|system|service|unknown|unexpected)\W+(\w+\W+)?(error|exception|failure|fault)"
    r"|\bbusy\b|\b(try|retry)\W+(again\W+)?(it\W+)?later|something went wrong"
    r"|temporar(y|ily)|unavailable|overload|timed?[\W_]*out"
    r"|网络异常|网络错误|系统异常|系统错误|服务异常|内部错误|超时|繁忙|稍后",
    re.IGNORECASE,
)
_KINDS: dict[type[Refused], str] = {
    RateLimited: r"""
        (the\W+)? requests? \W+ ha(s|ve) \W+ exceeded \W+ the \W+ limit
        | (the\W+)? (api\W+)? rate \W+ limit \W+ (has\W+been\W+|was\W+)? (exceeded|reached)
        | too \W+ many \W+ requests""",
    InsufficientCredits: r"""
        ((you|(your\W+)?account) \W+ ha(s|ve) \W+)? (insufficient|not\W+enough) \W+
            (account\W+|api\W+)? (points?|credits?|balance)
        | (the\W+|your\W+)? (account\W+)? (points|credits|balance) \W+ (is|are) \W+
            (insufficient|not\W+enough)""",
    AuthenticationFailed: r"""
        (the\W+|your\W+)? (api\W+)? key \W+ (is\W+)? (invalid|incorrect|not\W+valid|wrong|expired)
        | (invalid|incorrect|wrong|missing|expired) \W+ (api\W+)? (key|token|authorization) (\W.*)?
        | authori[sz]ation \W+ (is\W+)? (invalid|failed) | unauthori[sz]ed
        | authentication \W+ (has\W+)? failed""",
    PermissionDenied: r"""
        (the\W+|your\W+)? (api\W+)? key \W+ (lacks|has\W+no) \W+ (the\W+)? (required\W+)? permissions?
        | (the\W+|your\W+)? (developer\W+)? account \W+ (is\W+|has\W+been\W+)? disabled""",
}
_ADVICE = r"(\W+ (please\W+)? (try|retry|slow|wait|recharge|contact|check) \b .*)? \W*"
_PATTERNS = [
    (re.compile(f"({pattern}) {_ADVICE}", re.IGNORECASE | re.VERBOSE), kind)
    for kind, pattern in _KINDS.items()
]
_STATUSES = frozenset(HTTPStatus)


def read_message(document: Mapping[str, Any], body: bytes, status: int) -> str:
    """Return the reason that a reply gives, short and printable: from its JSON, text or HTML."""
    words = _find_words(document) or ("" if document else _read_text(body))
    if words:
        return make_printable(words)
    return HTTPStatus(status).phrase if status in _STATUSES else "no reason given"


def _find_words(value: Any, depth: int = 0) -> str:
    """Return the first sentence in *value*: text, or an object or list that holds one."""
    if isinstance(value, str):
        return value.strip()
    if depth > 3:  # noqa: PLR2004  # no framework nests its reason deeper
        return ""
    if wire_json.is_object(value):
        found: Iterable[str] = (
            _find_words(value[name], depth + 1) for name in _MESSAGE_FIELDS if name in value
        )
        words = next(filter(None, found), "")
        place = value.get("loc")  # FastAPI says which field is wrong
        if words and wire_json.is_array(place):
            return f"{'.'.join(str(part) for part in place)}: {words}"
        return words or (_list_fields(value, depth) if depth else "")
    if wire_json.is_array(value):
        return "; ".join(filter(None, (_find_words(one, depth + 1) for one in value[:5])))
    return ""


def _list_fields(value: Mapping[str, Any], depth: int) -> str:
    """Return `field: reason` for an object whose fields are those of the request."""
    pairs = ((name, _find_words(one, depth + 1)) for name, one in list(value.items())[:5])
    return "; ".join(f"{name}: {words}" for name, words in pairs if words)


def _read_text(body: bytes) -> str:
    """Return the reason in a body that is not JSON: the title of a page, or its first line."""
    text = body[:4096].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text.partition("\n")[0]
    tags = re.search(r"<(title|message|h1)[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", tags[2])).strip() if tags else ""


def find_kind(message: str) -> type[Refused] | None:
    """Return the kind of refusal that the whole *message* stands for, if the service documents it."""
    return next((kind for pattern, kind in _PATTERNS if pattern.fullmatch(message.strip())), None)


def says_trouble(message: str) -> bool:
    """Tell whether *message* speaks of a failure inside the service, or of one that passes."""
    return _TROUBLE.search(message) is not None


def make_printable(words: str, *, limit: int = MAX_LENGTH) -> str:
    """Cut text from the service to *limit* characters, and replace control characters."""
    if words.isprintable():
        return words[:limit]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[:limit])
