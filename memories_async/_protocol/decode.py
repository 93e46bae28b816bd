"""Answers as typed values: tolerant of how the service writes them, strict about what is missing."""

from __future__ import annotations

import math
import re
from typing import Any

from cattrs import Converter


def number(value: object, _: object = float) -> float:
    """Read a finite number, also one written as text, as some of the service's replies do."""
    if type(value) is float and math.isfinite(value):  # what nearly every number is
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a number, not {type(value).__name__}")
    result = float(value)
    if not math.isfinite(result):
        raise ValueError("expected a finite number")
    return result


def whole(value: Any, _: object = int) -> int:
    """Read a whole number, also one written as text."""
    result = number(value)
    if not result.is_integer():
        raise ValueError("expected a whole number")
    # Beyond 2**53 only the number as it was written is exact.
    return int(value) if re.fullmatch(r"[+-]?[0-9]+", str(value)) else int(result)


def words(value: object, _: object = str) -> str:
    """Read text that can be written out again: not a number, and no lone surrogate."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {type(value).__name__}")
    value.encode()
    return value


def _converter() -> Converter:
    converter = Converter()
    converter.register_structure_hook(float, number)
    converter.register_structure_hook(int, whole)
    converter.register_structure_hook(str, words)
    return converter


converter = _converter()


def nothing(data: Any) -> bool:
    """Tell whether *data* is one of the ways in which the service writes "none": null or `{}`."""
    return data is None or data == {}
