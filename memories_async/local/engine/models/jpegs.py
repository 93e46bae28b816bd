"""Frames of a video at given times, as JPEG, in one straight pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from memories_async.local.engine._cv import shrink
from memories_async.local.engine.video.film import Film, Frame
from memories_async.local.engine.video.picture import encode

__all__ = ["jpegs"]

_FINE = 25.0
"""Frames a second among which the wanted ones are looked for."""


def jpegs(
    path: Path, times: Sequence[float], *, longest: int, quality: int
) -> list[tuple[float, bytes]]:
    """Give the frames shown at *times* (rising), each once, reduced to *longest* pixels."""
    with Film.open(path) as film:
        early = takewhile(lambda one: one[0].time <= times[-1], _shown(film))
        return [
            (frame.time, encode(shrink(frame.picture, longest), quality=quality))
            for frame, until in early
            if any(frame.time <= time < until for time in times)
        ]


def _shown(film: Film) -> Iterator[tuple[Frame, float]]:
    """Give each frame, and when the next one takes its place; the last one stays."""
    frames = film.frames(_FINE)
    shown = next(frames)
    for after in frames:
        yield shown, after.time
        shown = after
    yield shown, math.inf
