"""The service's many spellings of one thing: camelCase, numbers as text, "null" as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from memories_async._protocol import wire_json

READY = frozenset({"PARSE", "SUCCESS"})
"""Statuses of a video (v1) or asset (v2) that can be used."""
FAILED = frozenset({"FAILED", "FAIL", "PARSE_ERROR", "ERROR"})
"""Statuses from which nothing recovers; every other one means "not yet"."""


def named(data: Any, names: Iterable[str], renames: Mapping[str, str]) -> dict[str, Any]:
    """Sort an object's fields into those with *names* and, under `extra`, the unknown rest.

    camelCase becomes snake_case, *renames* are applied, and the text "null" means null.
    """
    if not wire_json.is_object(data):
        raise TypeError("expected an object")
    snaked = {_snake(name): None if value == "null" else value for name, value in data.items()}
    known = {renames.get(name, name): value for name, value in snaked.items()}
    wanted = frozenset(names)
    extra = {name: value for name, value in known.items() if name not in wanted}
    return {name: value for name, value in known.items() if name in wanted} | {"extra": extra}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
