"""Frames of a video at given times, as JPEG, in one straight pass."""

from __future__ import annotations

from pathlib import Path

from memories_async.local.engine._cv import shrink
from memories_async.local.engine.frames import Film
from memories_async.local.engine.picture import encode

__all__ = ["jpegs"]

_FINE = 25.0
"""Frames a second among which the wanted ones are looked for."""


def jpegs(
    path: Path, times: tuple[float, ...], *, longest: int, quality: int
) -> list[tuple[float, bytes]]:
    """Give the first frame at or after each of *times* (rising), reduced to *longest* pixels."""
    found: list[tuple[float, bytes]] = []
    with Film.open(path) as film:
        for frame in film.frames(_FINE):
            if len(found) == len(times):
                break
            if frame.time >= times[len(found)]:
                found.append((frame.time, encode(shrink(frame.picture, longest), quality=quality)))
    return found
