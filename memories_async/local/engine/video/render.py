"""Render a short film: several places, a camera that stands, pans or closes in, moving shapes.

For demonstrations and tests without a video file. The same seed renders the same pictures.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from attrs import frozen

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.video.scenery import KINDS, paint

__all__ = ["render"]

_RATE = 24
_MARGIN = 1.5
"""A place is this many times as wide as the camera's view."""
_SHAPES = {
    "red": (30, 30, 220),
    "yellow": (40, 220, 240),
    "blue": (220, 90, 20),
    "white": (245, 245, 245),
}


def render(
    path: Path,
    *,
    seconds: float = 24,
    scenes: int = 4,
    seed: int = 0,
    size: tuple[int, int] = (640, 360),
    kinds: tuple[str, ...] = tuple(KINDS),
) -> tuple[Shot, ...]:
    """Write a film to *path* (.mp4) and return its shots; about ten times faster than real time.

    *size* is even; *seed* shuffles the *kinds* of places (see `scenery.KINDS`), which are used in turn.
    Raises `OSError` where the file cannot be written.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(kinds).tolist()
    frames = round(seconds * _RATE)
    borders = [round(frames * at / scenes) for at in range(scenes + 1)]
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), _RATE, size)
    if not film.isOpened():
        raise OSError(f"no film can be written to {path}")
    try:
        for at in range(scenes):
            scene = _make_scene(order[at % len(order)], random, size)
            for moment in np.linspace(0, 1, borders[at + 1] - borders[at]).tolist():
                film.write(scene.draw(moment))
    finally:
        film.release()
    ends = [border / _RATE for border in borders]
    return tuple(Shot(start_time=start, end_time=end) for start, end in pairwise(ends))


@frozen(kw_only=True)
class _Shape:
    """A disc or a box that moves across the picture; places as shares of the picture's size."""

    colour: tuple[int, int, int]
    round: bool
    size: float
    start: tuple[float, float]
    end: tuple[float, float]

    def draw(self, picture: Picture, moment: float) -> None:
        height, width = picture.shape[:2]
        x = int(width * (self.start[0] + (self.end[0] - self.start[0]) * moment))
        y = int(height * (self.start[1] + (self.end[1] - self.start[1]) * moment))
        reach = int(height * self.size)
        if self.round:
            cv2.circle(picture, (x, y), reach, self.colour, -1, cv2.LINE_AA)
            cv2.circle(picture, (x, y), reach, (20, 20, 20), 2, cv2.LINE_AA)
        else:
            corner, other = (x - reach * 2, y - reach), (x + reach * 2, y + reach)
            cv2.rectangle(picture, corner, other, self.colour, -1)
            cv2.rectangle(picture, corner, other, (20, 20, 20), 2)


@frozen(kw_only=True)
class _Scene:
    """A place, the camera's path over it, and the shapes that move in front."""

    place: Picture
    size: tuple[int, int]
    path: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    """Camera at the start and the end: middle x and y (pixels), zoom, angle (degrees)."""
    shapes: tuple[_Shape, ...]

    def draw(self, moment: float) -> Picture:
        """Draw the scene at *moment*, 0..1."""
        start, end = self.path
        x, y, zoom, angle = (a + (b - a) * moment for a, b in zip(start, end, strict=True))
        turn = cv2.getRotationMatrix2D((x, y), angle, zoom)
        turn[:, 2] += np.array((self.size[0] / 2 - x, self.size[1] / 2 - y))
        view = np.asarray(
            cv2.warpAffine(self.place, turn, self.size, borderMode=cv2.BORDER_REFLECT), np.uint8
        )
        for shape in self.shapes:
            shape.draw(view, moment)
        return view


def _make_scene(kind: str, random: np.random.Generator, size: tuple[int, int]) -> _Scene:
    area = (int(size[0] * _MARGIN), int(size[1] * _MARGIN))
    middle = (area[0] / 2, area[1] / 2, 1.0, 0.0)
    moves = ("stand", "pan", "close in", "turn")
    move = moves[int(random.integers(len(moves)))]
    path = (middle, middle)
    if move == "pan":
        reach = size[0] * float(random.uniform(0.1, 0.2))
        path = ((middle[0] - reach, *middle[1:]), (middle[0] + reach, *middle[1:]))
    elif move == "close in":
        path = (middle, (middle[0], middle[1], float(random.uniform(1.15, 1.5)), 0.0))
    elif move == "turn":
        path = (middle, (middle[0], middle[1], 1.1, float(random.uniform(-8, 8))))
    shapes = tuple(_make_shape(random) for _ in range(int(random.integers(1, 4))))
    return _Scene(place=paint(kind, random, area), size=size, path=path, shapes=shapes)


def _make_shape(random: np.random.Generator) -> _Shape:
    names = list(_SHAPES)
    x1, y1, x2, y2 = (float(value) for value in random.uniform(0.1, 0.9, 4))
    return _Shape(
        colour=_SHAPES[names[int(random.integers(len(names)))]],
        round=bool(random.integers(2)),
        size=float(random.uniform(0.04, 0.1)),
        start=(x1, y1),
        end=(x2, y2),
    )
