"""Checks of the arguments that calls are built from. Pure but for a look at a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

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


_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]*[A-Za-z0-9](/[!-~]*)?")
"""The usual URL, with a host name and no port, which needs no parser."""


def check_url(argument: str, value: str) -> str:
    """Return *value* if it is a full http or https URL; otherwise raise `ValueError`."""
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
        raise ValueError(f"{argument} must be a full http or https URL, not {shown!r}")
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
