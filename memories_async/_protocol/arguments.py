"""Checks of the arguments that calls are built from. Pure but for a look at a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute, evolve, frozen

from memories_async._protocol.media_types import IMAGE_TYPES, VIDEO_TYPES
from memories_async._protocol.network import hide_credentials


def check_text(argument: str, value: str) -> str:
    """Return *value* if it is text that is not blank; otherwise raise `TypeError` or `ValueError`."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{argument} must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument} must be text that UTF-8 can encode") from None
    return value


@frozen
class NumberRule:
    """What a number must be; called by attrs, it is the validator of a field."""

    text: str
    """The rule as an error says it."""
    accepts: Callable[[Any], bool]
    kind: type[Any] = Real
    allows_none: bool = False

    def or_none(self) -> NumberRule:
        """Return the rule that allows None, too."""
        return evolve(self, text=f"{self.text}, or None", allows_none=True)

    def check(self, argument: str, value: object) -> None:
        """Raise `TypeError` for what is no number, and `ValueError` for one against the rule."""
        if value is None and self.allows_none:
            return
        is_number = not isinstance(value, bool) and isinstance(value, Real)
        if not (is_number and isinstance(value, self.kind) and self.accepts(value)):
            error = ValueError if is_number else TypeError
            raise error(f"{argument} must be {self.text}, not {value!r}")

    def __call__(self, _: object, attribute: Attribute[Any], value: object) -> None:
        """Check the *value* of a field."""
        self.check(attribute.name, value)


COUNT = NumberRule("a whole number, 1 or more", lambda number: number >= 1, Integral)
WHOLE = NumberRule("a whole number, 0 or more", lambda number: number >= 0, Integral)
POSITIVE = NumberRule("a number above 0", lambda number: number > 0)
NOT_NEGATIVE = NumberRule("a number, 0 or more", lambda number: number >= 0)
SECONDS = NumberRule("a number of seconds above 0", lambda seconds: seconds > 0)
PAUSE = NumberRule("a number of seconds, 0 or more", lambda seconds: seconds >= 0)


def check_type(argument: str, value: object, kind: type[Any], example: str) -> None:
    """Raise `TypeError` if *value* is no *kind*; the value is not shown, as it may hold a password."""
    if not isinstance(value, kind):
        given = type(value).__name__
        raise TypeError(f"{argument} must be a {kind.__name__}, such as {example}, not {given}")


_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]+")
"""The usual id, which needs no further check."""
_MEDIA_SUFFIXES = (*VIDEO_TYPES, *IMAGE_TYPES)


def check_id(argument: str, value: str, instead: str) -> str:
    """Return *value* if it can be an id of the service; the error says what takes a file *instead*.

    The service's ids are letters, digits, _ and -; others are sent, too, so that new ones work.
    """
    if isinstance(value, str) and _PLAIN_ID.fullmatch(value):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        return value
    if isinstance(value, os.PathLike):
        raise TypeError(f"{argument} must be an id, not a {type(value).__name__}: {instead}")
    check_text(argument, value)
    if "/" in value or "\\" in value or value.lower().endswith(_MEDIA_SUFFIXES):
        kind = "a URL" if "://" in value else "a file"
        shown = hide_credentials(value)
        raise ValueError(
            f"{argument} must be an id of the service, not {kind}, {shown!r}: {instead}"
        )
    return value


_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]*[A-Za-z0-9](/[!-~]*)?")
"""The usual URL, with a host name and no port, which needs no parser."""


def check_url(argument: str, value: str, instead: str = "") -> str:
    """Return *value* if it is a full http or https URL; otherwise raise `ValueError`.

    The error says what takes a file *instead*.
    """
    check_text(argument, value)
    if _PLAIN_URL.fullmatch(value):
        return value
    try:
        parts = urlsplit(value)
        is_full = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        is_full = False
    shown = hide_credentials(value)
    if not is_full:
        advice = f": {instead}" if instead else ""
        raise ValueError(f"{argument} must be a full http or https URL, not {shown!r}{advice}")
    if not value.isprintable():
        rule = "a full http or https URL of printable characters"
        raise ValueError(f"{argument} must be {rule}, not {shown!r}")
    return value


def check_target(to: str | os.PathLike[str]) -> Path:
    """Return the file *to* if its folder exists; otherwise raise `ValueError`."""
    target = Path(to)
    if not target.parent.is_dir():
        raise ValueError(f"to must be in a folder that exists: {target.parent}")
    return target
