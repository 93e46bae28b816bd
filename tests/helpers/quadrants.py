"""Films whose truth is known at each place and time: four coloured quarters that swap at half time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

COLOURS = np.array([(200, 40, 40), (40, 160, 60), (50, 60, 200), (210, 200, 60)], np.uint8)
"""Red, green and blue of the quarters: above left, above right, below left, below right."""
SIZE = (160, 96)


def draw(half: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Draw the picture of the first (0) or second (1) half; red first."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    for quarter in range(4):
        rows = slice(height // 2) if quarter < 2 else slice(height // 2, None)
        columns = slice(width // 2) if quarter % 2 == 0 else slice(width // 2, None)
        picture[rows, columns] = COLOURS[(quarter + half) % 4]
    return picture


def has_encoder(codec: str) -> bool:
    """Whether this FFmpeg writes *codec*."""
    try:
        return bool(av.Codec(codec, "w"))
    except av.codec.codec.UnknownCodecError:
        return False


def write(
    path: Path,
    codec: str = "libx264",
    *,
    pixels: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    tick: Fraction | None = None,
    prepare: Callable[[Any], object] = lambda stream: None,
    encode: Callable[[np.ndarray], av.VideoFrame] | None = None,
    **options: str,
) -> Path:
    """Write a film; without *times* it has a second of frames.

    *prepare* gets the stream before it is opened, *encode* makes a frame of a picture.
    """
    times = [Fraction(at) / rate for at in range(round(rate))] if times is None else times
    tick = tick or 1 / Fraction(rate)
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = tick
        prepare(stream)
        for at, time in enumerate(times):
            picture = draw(int(2 * at >= len(times)), size)
            frame = encode(picture) if encode else av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = round(time / tick), tick
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def measure_error(picture: np.ndarray, half: int) -> float:
    """Measure by how much the middle of any quarter of a picture (blue first) misses its colour."""
    height, width = picture.shape[:2]
    errors = []
    for quarter in range(4):
        y = height // 4 + (height // 2 if quarter > 1 else 0)
        x = width // 4 + (width // 2 if quarter % 2 else 0)
        seen = picture[y - 2 : y + 3, x - 2 : x + 3, ::-1].reshape(-1, 3).mean(axis=0)
        errors.append(np.abs(seen - COLOURS[(quarter + half) % 4]).max())
    return float(max(errors))
