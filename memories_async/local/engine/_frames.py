"""Frames of a video at given times, as JPEG, in one straight pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from memories_async.local.engine._cv import shrink
from memories_async.local.engine.frames import Film, Frame
from memories_async.local.engine.picture import encode

__all__ = ["jpegs"]

_FINE = 25.0
"""Frames a second among which the wanted ones are looked for."""


def jpegs(
    path: Path, times: Sequence[float], *, longest: int, quality: int
) -> list[tuple[float, bytes]]:
    """Give the frames shown at *times* (rising), each once, reduced to *longest* pixels."""
    found: list[tuple[float, bytes]] = []
    with Film.open(path) as film:
        for frame, until in _shown(film):
            if any(frame.time <= time < until for time in times):
                found.append((frame.time, encode(shrink(frame.picture, longest), quality=quality)))
            if until > times[-1]:
                break
    return found


def _shown(film: Film) -> Iterator[tuple[Frame, float]]:
    """Give each frame, and when the next one takes its place; the last one stays."""
    before: Frame | None = None
    for frame in film.frames(_FINE):
        if before is not None:
            yield before, frame.time
        before = frame
    if before is not None:
        yield before, math.inf
