"""JSON as it comes from strangers: UTF-8 only, no NaN, no surprise exceptions.

orjson reads when it is installed (extra `fast`), the standard library otherwise; both refuse the
same things with the same error, except that the standard library lets `1e999` overflow: whoever
decodes numbers refuses it there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeGuard


class NotJson(ValueError):
    """The bytes are not JSON as RFC 8259 has it."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _stdlib(body: bytes) -> Any:
    document = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    if b"\\u" in body:
        # An escape may be half a character, which cannot be written again.
        dumps(document)
    return document


def _fastest() -> Callable[[bytes], Any]:
    try:
        import orjson  # noqa: PLC0415  # optional: found out once
    except ImportError:
        return _stdlib
    return orjson.loads


_loads = _fastest()


def loads(body: bytes) -> Any:
    """Parse *body*, raising `NotJson` for whatever is wrong with it."""
    try:
        return _loads(body)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {error}") from None


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(document: object) -> bytes:
    """Write *document* compactly in UTF-8, keeping the order of its fields."""
    return _encode(document).encode("utf-8")


def canonical(document: object) -> bytes:
    """Write *document* so that equal documents give equal bytes."""
    return _canonically.encode(document).encode("ascii")


# Made once: a batch that resumes hashes a million calls.
_canonically = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def is_object(document: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether *document* is a JSON object, whose keys are always text."""
    return isinstance(document, dict)


def is_array(document: object) -> TypeGuard[list[Any]]:
    """Tell whether *document* is a JSON array."""
    return isinstance(document, list)


def is_sequence(document: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Tell whether *document* is a list or a tuple, which is written as an array."""
    return isinstance(document, list | tuple)
