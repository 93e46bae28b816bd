"""Reads the `data` of a reply into typed values. Pure.

The service writes one field in several ways (camelCase or snake_case, numbers as text, "null" as
text); all of them are accepted. A value that is missing or of the wrong type is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cattrs import Converter

from memories_async._protocol import wire_json

READY = frozenset({"PARSE", "SUCCESS"})
"""Statuses of a video (v1) or an asset (v2) that can be used."""
FAILED = frozenset({"FAILED", "FAIL", "PARSE_ERROR", "ERROR"})
"""Final statuses of a video or an asset that cannot be used; every other status means "not yet"."""


def read_number(value: object, _: object = float) -> float:
    """Read a finite number, also one written as text."""
    if type(value) is float and math.isfinite(value):  # the usual case, first
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a number, not {type(value).__name__}")
    if isinstance(value, str) and not (value.isascii() and "_" not in value):
        raise ValueError("expected a number in ASCII digits")
    result = float(value)
    if not math.isfinite(result):
        raise ValueError("expected a finite number")
    return result


def read_integer(value: Any, _: object = int) -> int:
    """Read an integer, also one written as text or with a fraction of zero."""
    result = read_number(value)
    if not result.is_integer():
        raise ValueError("expected a whole number")
    # A float holds integers exactly up to 2**53 only.
    return int(value) if re.fullmatch(r"[+-]?[0-9]+", str(value)) else int(result)


def read_text(value: object, _: object = str) -> str:
    """Read text that UTF-8 can encode: not a number, and without lone surrogates."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {type(value).__name__}")
    value.encode()
    return value


converter = Converter()
converter.register_structure_hook(float, read_number)
converter.register_structure_hook(int, read_integer)
converter.register_structure_hook(str, read_text)


def return_data(data: Any) -> Any:
    """Return the `data` of a reply as it came."""
    return data


def is_empty(data: Any) -> bool:
    """Tell whether *data* is null or `{}`, the service's two ways to write "none"."""
    return data is None or data == {}


@lru_cache(maxsize=256)
def _to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def split_fields(data: Any, names: Iterable[str], renames: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of an object that are in *names*, and the others under `extra`.

    camelCase becomes snake_case, *renames* are applied, and the text "null" becomes None.
    """
    if not wire_json.is_object(data):
        raise TypeError("expected an object")
    wanted = frozenset(names)
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in data.items():
        snake = _to_snake_case(name)
        snake = renames.get(snake, snake)
        (known if snake in wanted else extra)[snake] = None if value == "null" else value
    return known | {"extra": extra}


def read_size(data: Any) -> int:
    """Read the number of bytes that were written; a reply in JSON is no file."""
    if not isinstance(data, int):
        raise TypeError("the reply is no file")
    return data


def ignore_data(_: Any) -> None:
    """Return None: the reply has no data beside its success."""
