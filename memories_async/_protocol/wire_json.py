"""JSON from untrusted sources: UTF-8 only, no NaN, and one exception for whatever is wrong.

orjson reads it where it is installed, the standard library otherwise. Both refuse the same documents,
except that the standard library reads `1e999` as infinity, which `decode.read_number` refuses.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeGuard


class NotJson(ValueError):
    """The bytes are not JSON as defined by RFC 8259."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _load_with_stdlib(body: bytes) -> Any:
    document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    if b"\\u" in body:
        # An escape may be a lone surrogate, which UTF-8 cannot encode.
        _encode(document).encode("utf-8")
    return document


try:
    import orjson
except ImportError:  # there is none for this interpreter
    _parse: Callable[[bytes], Any] = _load_with_stdlib
    _write: Callable[[object], bytes] | None = None
else:
    _parse, _write = orjson.loads, orjson.dumps


def loads(body: bytes) -> Any:
    """Parse *body*; raise `NotJson` for whatever is wrong with it."""
    try:
        return _parse(body)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not JSON: {error}") from None


def loads_leniently(body: bytes, content_type: str = "") -> Any:
    """Parse *body* as `loads` does, and also what only departs from the standard in its form.

    Accepted are a byte order mark, the charset of *content_type*, bytes that are no UTF-8, control
    characters inside text, and NaN and Infinity, which become None. Bytes and escapes that stand for
    no character become lone surrogates, which `decode.read_text` refuses in a field that is read.
    """
    try:
        return _parse(body)
    except (ValueError, RecursionError) as error:
        try:
            return _LENIENT.decode(_decode(body, content_type))
        except (ValueError, RecursionError):
            raise NotJson(f"not JSON: {error}") from None


def _decode(body: bytes, content_type: str) -> str:
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    declared = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    charset = marked or (declared[1] if declared else "utf-8")
    try:
        text = body.decode(charset)
    except (LookupError, ValueError):
        text = body.decode("utf-8", "surrogateescape")
    return text.strip("\ufeff\0 \t\r\n")


# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_LENIENT = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(document: object) -> bytes:
    """Write *document* compactly in UTF-8, keeping the order of its fields."""
    if _write is not None and _is_text_only(document):
        # orjson writes numbers and dates in its own way, but text as the standard library does.
        try:
            return _write(document)
        except TypeError:  # a lone surrogate, or a key that is no text
            pass
    # A lone surrogate, which UTF-8 has no bytes for, becomes the JSON escape that it came from.
    return _encode(document).encode("utf-8", "backslashreplace")


def _is_text_only(document: object) -> bool:
    return is_object(document) and set(map(type, document.values())) == {str}


def canonical(document: object) -> bytes:
    """Write *document* so that equal documents give equal bytes."""
    if _write_sorted is not None and _is_text(document):
        written = _write_sorted(document)
        # What is not printable ASCII is escaped by the standard library, and by orjson it is not.
        if written.isascii() and b"\x7f" not in written:
            return written
    return _encode_canonically(document).encode("ascii")


_TEXT = frozenset({str, bool, type(None)})
_NESTED = _TEXT | {dict, list, tuple}


def _is_text(document: object) -> bool:
    """Tell whether *document* holds text, flags and nulls only, which both libraries write alike."""
    if is_object(document):
        values: Iterable[object] = document.values()
    elif is_sequence(document):
        values = document
    else:
        return type(document) in _TEXT
    kinds = set(map(type, values))
    return kinds <= _TEXT or (kinds <= _NESTED and all(map(_is_text, values)))


def _choose_sorted_writer() -> Callable[[object], bytes] | None:
    try:
        import orjson  # noqa: PLC0415  # optional
    except ImportError:
        return None

    def write(document: object) -> bytes:
        try:
            return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # a lone surrogate, or a key that is no text
            return b"\x7f"

    return write


_write_sorted = _choose_sorted_writer()


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
