"""How long a reply asks to wait, in every spelling of `Retry-After`. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds_to_wait(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read `retry-after-ms` or `retry-after` (seconds or date); None where it says nothing usable.

    A date is measured against the reply's own `Date`, so that a wrong clock here changes nothing;
    *now* (Unix time) serves where there is none.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    then = _date(text)
    if then is None:
        return None
    return max(0.0, then - (_date(headers.get("date", "")) or now))


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(text: str) -> float | None:
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
