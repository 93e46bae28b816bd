"""Reads how long a reply asks the client to wait, in every form of `Retry-After`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def read_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds of `retry-after-ms` or `retry-after` (seconds or a date), or None.

    A date is compared with the reply's own `Date` header, so that a wrong local clock has no effect,
    and with *now* (Unix time) if there is none. A value that cannot be read counts as none.
    """
    milliseconds = _read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _read_number(text)
    if seconds is not None or text is None:
        return seconds
    then = _read_date(text)
    if then is None:
        return None
    return max(0.0, then - (_read_date(headers.get("date", "")) or now))


def _read_number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\s*[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?\s*", text, re.ASCII):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _read_date(text: str) -> float | None:
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
