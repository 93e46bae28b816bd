"""Render a little film: several places, a camera that stands, pans, or closes in, moving shapes.

For demonstrations and tests where no video is at hand. The same seed renders the same pictures.
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
_ROOM = 1.5
"""A place is this much wider than what the camera sees."""
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
    """Write a film to *path* (.mp4) and say where its shots are; about ten times real time.

    *size* is even; *kinds* of places (see `scenery.KINDS`) are shuffled by *seed* and taken in turn.
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
            scene = _scene(order[at % len(order)], random, size)
            for moment in np.linspace(0, 1, borders[at + 1] - borders[at]).tolist():
                film.write(scene.picture(moment))
    finally:
        film.release()
    ends = [border / _RATE for border in borders]
    return tuple(Shot(start_time=start, end_time=end) for start, end in pairwise(ends))


@frozen(kw_only=True)
class _Shape:
    """A disc or a box on its way across the picture; places as shares of its size."""

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
    """A place, the camera's way over it, and what moves in front."""

    place: Picture
    size: tuple[int, int]
    way: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    """Camera at the start and the end: middle x and y (pixels), zoom, angle (degrees)."""
    shapes: tuple[_Shape, ...]

    def picture(self, moment: float) -> Picture:
        """Draw the scene at *moment*, 0..1."""
        start, end = self.way
        x, y, zoom, angle = (a + (b - a) * moment for a, b in zip(start, end, strict=True))
        turn = cv2.getRotationMatrix2D((x, y), angle, zoom)
        turn[:, 2] += np.array((self.size[0] / 2 - x, self.size[1] / 2 - y))
        seen = np.asarray(
            cv2.warpAffine(self.place, turn, self.size, borderMode=cv2.BORDER_REFLECT), np.uint8
        )
        for shape in self.shapes:
            shape.draw(seen, moment)
        return seen


def _scene(kind: str, random: np.random.Generator, size: tuple[int, int]) -> _Scene:
    room = (int(size[0] * _ROOM), int(size[1] * _ROOM))
    middle = (room[0] / 2, room[1] / 2, 1.0, 0.0)
    moves = ("stand", "pan", "close in", "turn")
    move = moves[int(random.integers(len(moves)))]
    way = (middle, middle)
    if move == "pan":
        reach = size[0] * float(random.uniform(0.1, 0.2))
        way = ((middle[0] - reach, *middle[1:]), (middle[0] + reach, *middle[1:]))
    elif move == "close in":
        way = (middle, (middle[0], middle[1], float(random.uniform(1.15, 1.5)), 0.0))
    elif move == "turn":
        way = (middle, (middle[0], middle[1], 1.1, float(random.uniform(-8, 8))))
    shapes = tuple(_shape(random) for _ in range(int(random.integers(1, 4))))
    return _Scene(place=paint(kind, random, room), size=size, way=way, shapes=shapes)


def _shape(random: np.random.Generator) -> _Shape:
    names = list(_SHAPES)
    x1, y1, x2, y2 = (float(value) for value in random.uniform(0.1, 0.9, 4))
    return _Shape(
        colour=_SHAPES[names[int(random.integers(len(names)))]],
        round=bool(random.integers(2)),
        size=float(random.uniform(0.04, 0.1)),
        start=(x1, y1),
        end=(x2, y2),
    )
