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
            part = max(0.0, float(time / (times[-1] or 1)))
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


def weave(path: Path, *, rate: int = 24, seconds: int = 4, size=(320, 240), **options: str) -> Path:
    """Write an interlaced film of a moving texture, each field at its own time."""
    width, height = size
    texture = np.random.default_rng(1).integers(0, 255, (15, 20, 3), np.uint8)
    texture = cv2.GaussianBlur(
        cv2.resize(texture, size, interpolation=cv2.INTER_NEAREST), (9, 9), 0
    )
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(rate * seconds):
            view = np.roll(texture, 2 * number, 1)
            view[1::2] = np.roll(texture, 2 * number + 1, 1)[1::2]
            film.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="bgr24")))
        film.mux(stream.encode(None))
    return path


def copy_packets(
    source: Path, path: Path, *, skip: float = 0.0, drop: int = 0, **options: str
) -> Path:
    """Copy the packets of *source* without encoding, as `ffmpeg -ss SKIP -c copy` does.

    The first *drop* packets are left out; *options* are the container's.
    """
    with av.open(str(source)) as film, av.open(str(path), "w", options=options) as copy:
        stream = film.streams.video[0]
        target = copy.add_stream_from_template(stream)
        shift = round(skip / stream.time_base)
        film.seek(shift, stream=stream)
        packets = [packet for packet in film.demux(stream) if packet.dts is not None]
        for packet in packets[drop:]:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = target
            copy.mux(packet)
    return path


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
