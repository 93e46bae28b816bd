"""JSON from untrusted sources: UTF-8 only, no NaN, and one exception for whatever is wrong.

orjson reads it where it is installed, the standard library otherwise. Both refuse the same documents,
except that the standard library reads `1e999` as infinity, which `decode.read_number` refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeGuard


class NotJson(ValueError):
    """The bytes are not JSON as defined by RFC 8259."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _load_with_stdlib(body: bytes) -> Any:
    document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    if b"\\u" in body:
        # An escape may be a lone surrogate, which UTF-8 cannot encode.
        dumps(document)
    return document


def _choose_parser() -> Callable[[bytes], Any]:
    try:
        import orjson  # noqa: PLC0415  # optional
    except ImportError:
        return _load_with_stdlib
    return orjson.loads


_parse = _choose_parser()


def loads(body: bytes) -> Any:
    """Parse *body*; raise `NotJson` for whatever is wrong with it."""
    try:
        return _parse(body)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {error}") from None


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(document: object) -> bytes:
    """Write *document* compactly in UTF-8, keeping the order of its fields."""
    return _encode(document).encode("utf-8")


def canonical(document: object) -> bytes:
    """Write *document* so that equal documents give equal bytes."""
    return _encode_canonically(document).encode("ascii")


# Built once: a batch that resumes hashes a million calls.
_encode_canonically = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def is_object(document: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether *document* is a JSON object, whose keys are text."""
    return isinstance(document, dict)


def is_array(document: object) -> TypeGuard[list[Any]]:
    """Tell whether *document* is a JSON array."""
    return isinstance(document, list)


def is_sequence(document: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Tell whether *document* is a list or a tuple, which is written as an array."""
    return isinstance(document, list | tuple)
