"""Films whose camera and motion are known, written by PyAV: each is a function of the second."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from memories_async.local.engine.video.scenery import paint

SIZE = (320, 180)
Draw = Callable[[float], np.ndarray]
"""Gives the picture at a second."""
_PLACES: dict[str, np.ndarray] = {
    kind: paint(kind, np.random.default_rng(4), (640, 360)) for kind in ("hills", "city", "garden")
}
_PLACES["white"] = np.full((360, 640, 3), 225, np.uint8)
_THING = paint("tiles", np.random.default_rng(8), SIZE)
_PAGE = paint("board", np.random.default_rng(2), (320, 720))


def write(
    path: Path, draw: Draw, *, seconds: float, rate: Fraction | int = 8, codec="libx264", **options
):
    """Write what *draw* gives, with real compression."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=rate, options={"preset": "veryfast", **options})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(round(seconds * rate)):
            picture = np.ascontiguousarray(draw(float(number / rate)))
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        film.mux(stream.encode(None))
    return path


def stand(kind) -> Draw:
    """Stand before a place."""
    view = move(kind)(0)
    return lambda _: view


def move(kind, *, across=0.0, down=0.0, closer=0.0, shake=0.0) -> Draw:
    """Move by pixels a second, come closer by a share a second, or shake by pixels."""

    def draw(time):
        zoom = 1 + closer * time
        swing = [np.sin(time * speed + speed) for speed in (7.1, 9.7)]
        x, y = 320 + across * time + shake * swing[0], 180 + down * time + shake * swing[1]
        turn = np.array([[zoom, 0, 160 - zoom * x], [0, zoom, 90 - zoom * y]])
        return cv2.warpAffine(_PLACES[kind], turn, SIZE, borderMode=cv2.BORDER_REFLECT)

    return draw


def cover(kind, share) -> Draw:
    """Stand before a place, in which a thing that covers a *share* of the picture moves about."""
    width, height = (round(side * share**0.5) for side in SIZE)
    thing, place = cv2.resize(_THING, (width, height)), stand(kind)(0)

    def draw(time):
        x = (SIZE[0] - width) / 2 * (1 + 0.9 * np.sin(time * 2.2))
        y = (SIZE[1] - height) / 2 * (1 + 0.9 * np.sin(time * 1.7))
        picture = place.copy()
        picture[int(y) : int(y) + height, int(x) : int(x) + width] = thing
        return picture

    return draw


def dance(kind) -> Draw:
    """Stand before a place, where somebody in a rich costume dances."""
    place = stand(kind)(0)

    def draw(time):
        mask = np.zeros(SIZE[::-1], np.uint8)
        x, y = int(160 + 40 * np.sin(time * 2)), int(90 + 9 * np.sin(time * 5))
        cv2.ellipse(mask, (x, y), (16, 40), 10 * np.sin(time * 3), 0, 360, 255, -1)
        cv2.circle(mask, (x, y - 50), 14, 255, -1)
        for side in (-1, 1):
            arm = side * (1.2 + 0.9 * np.sin(time * 4 + side))
            hand = (int(x + side * 12 + 60 * np.sin(arm)), int(y - 25 + 60 * np.cos(arm)))
            cv2.line(mask, (x + side * 12, y - 25), hand, 255, 11)
            foot = (int(x + side * (15 + 20 * np.sin(time * 3))), y + 80)
            cv2.line(mask, (x, y + 30), foot, 255, 14)
        picture = place.copy()
        picture[mask > 0] = np.roll(_THING, (y - 90, x - 160), (0, 1))[mask > 0]
        return picture

    return draw


def nod(kind, *, tall, start=0.0, end=60.0) -> Draw:
    """Stand before a place, in which a head nods once a second, by an eighth of its height *tall*."""
    place = stand(kind)(0)

    def oval(picture, y, wide, high, colour):
        axes = round(tall * wide * 16), round(tall * high * 16)
        middle = 160 * 16, round(y * 16)
        cv2.ellipse(picture, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA, 4)

    def draw(time):
        y = 80 + (tall / 8 * np.sin(time * 6.28) if start <= time < end else 0)
        picture = place.copy()
        oval(picture, 80 + tall * 1.1, 0.8, 0.6, (90, 60, 40))
        oval(picture, y, 0.38, 0.5, (130, 160, 200))
        oval(picture, y - tall * 0.3, 0.39, 0.25, (30, 40, 60))
        oval(picture, y + tall * 0.25, 0.12, 0.04, (60, 60, 150))
        return picture

    return draw


def scroll(*, framed) -> Draw:
    """Scroll a page on a screen, all of it or inside a window."""

    def draw(time):
        top = int(40 * time)
        picture = _PAGE[top : top + 180].copy()
        if framed:
            picture[:22], picture[-14:], picture[:, :32] = (
                (90, 80, 70),
                (60, 60, 60),
                (200, 190, 180),
            )
            cv2.putText(
                picture, "File Edit View  http://memories", (8, 16), 0, 0.45, (230, 230, 230)
            )
            cv2.putText(picture, "start   12:45   mail", (8, 176), 0, 0.4, (230, 230, 230))
            for line in range(6):
                cv2.putText(picture, f"ab{line}", (6, 40 + 20 * line), 0, 0.35, (20, 20, 20))
        return picture

    return draw


def grain(draw: Draw, strength) -> Draw:
    """Add grain to each picture."""
    random = np.random.default_rng(0)

    def noisy(time):
        noise = random.normal(0, strength, (*SIZE[::-1], 1))
        return np.clip(draw(time) + noise, 0, 255).astype(np.uint8)

    return noisy


def light(draw: Draw, level: Callable[[float], float]) -> Draw:
    """Change the light: *level* gives its factor at a second."""
    return lambda time: np.clip(draw(time) * level(time), 0, 255).astype(np.uint8)


def logo(draw: Draw) -> Draw:
    """Put a station's mark over each picture."""

    def marked(time):
        picture = draw(time).copy()
        cv2.rectangle(picture, (252, 8), (310, 30), (0, 200, 255), -1)
        cv2.putText(picture, "CHANNEL", (256, 24), 0, 0.36, (60, 0, 0), 1)
        return picture

    return marked


def bars(draw: Draw) -> Draw:
    """Put black bars above and below."""

    def wide(time):
        picture = draw(time).copy()
        picture[:22] = picture[-22:] = 0
        return picture

    return wide


def dissolve(before: Draw, after: Draw, *, start, seconds=1.0) -> Draw:
    """Dissolve one film into another."""

    def draw(time):
        share = min(1.0, max(0.0, (time - start) / seconds))
        return cv2.addWeighted(before(time), 1 - share, after(time), share, 0)

    return draw


def follow(first: Draw, then: Draw, *, at) -> Draw:
    """Show one film, and from a second on another."""
    return lambda time: first(time) if time < at else then(time - at)
