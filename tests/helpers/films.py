"""Films of every nasty kind, written by PyAV: two places, a slow pan, and one cut between them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from memories_async.local.engine.video.scenery import paint

SIZE = (320, 180)
_TICK = Fraction(1, 90_000)
_PLACES = [
    paint(kind, np.random.default_rng(seed), (480, 240))
    for seed, kind in enumerate(("garden", "city"), 1)
]


def picture(place, part=0.0, *, size=SIZE):
    """Give the view of a place (0 or 1), panned by a *part* (0 to 1) of what there is."""
    width, height = SIZE
    left = round(part * (480 - width))
    view = np.ascontiguousarray(_PLACES[place][:height, left : left + width])
    return view if size == SIZE else cv2.resize(view, size)


def even(rate, seconds):
    """Give the times of frames at an even *rate*."""
    return [Fraction(number) / Fraction(rate) for number in range(round(seconds * rate))]


def write(
    path: Path,
    times: Sequence[Fraction | float],
    *,
    cut: Fraction | float,
    rate: Fraction | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    tick: Fraction = _TICK,
    **options: str,
) -> Path:
    """Write a film whose frames are shown at *times*, with its only cut at *cut*."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = tick
        for time in times:
            part = float(time / (times[-1] or 1))
            frame = _frame(picture(int(time >= cut), part, size=size), clear="a" in pixels)
            frame.pts, frame.time_base = round(time / tick), tick
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path


def _frame(view, *, clear):
    if not clear:
        return av.VideoFrame.from_ndarray(view, format="bgr24")
    half = cv2.cvtColor(view, cv2.COLOR_BGR2BGRA)
    half[..., 3] = 128
    return av.VideoFrame.from_ndarray(half, format="bgra")


def sound(path: Path) -> Path:
    """Write two seconds of sound without a picture."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream("aac", rate=8000)
        for at in range(16):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1000), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, 1000 * at
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    return path
