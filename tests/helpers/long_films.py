"""Films of several minutes that are quick to write: still pictures, with hard cuts and a tone."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

CUTS = (60.0, 190.0, 210.5, 330.0)
RATE = 2


def write_film(path, *, seconds, cuts=(), size=(160, 90)):
    """Write a film of still pictures, a few a second, with a tone."""
    looks = np.random.default_rng(1).integers(0, 255, (len(cuts) + 1, 9, 16, 3), np.uint8)
    scale = np.ones((size[1] // 9, size[0] // 16, 1), np.uint8)
    step = 8000 // RATE
    tone = np.sin(np.arange(step) * 0.3).astype(np.float32)[None] / 4
    with av.open(str(path), "w") as film:
        shown = film.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        shown.width, shown.height, shown.pix_fmt = *size, "yuv420p"
        heard = film.add_stream("aac", rate=8000, layout="mono")
        for number in range(round(seconds * RATE)):
            look = looks[sum(number / RATE >= cut for cut in cuts)]
            frame = av.VideoFrame.from_ndarray(np.kron(look, scale), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(shown.encode(frame))
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 8000, number * step, Fraction(1, 8000)
            film.mux(heard.encode(sound))
        film.mux(shown.encode(None))
        film.mux(heard.encode(None))
    return path
