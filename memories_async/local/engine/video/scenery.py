"""Paint wide still pictures of places, for rendered films.

Each kind of place is a function of a random stream and a size; the same stream paints the same
place. Light grain covers the picture, as on real footage, so that there are points to recognise.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import TypeAlias

from memories_async.local.engine._cv import Floats, Picture, cv2, np

__all__ = ["KINDS", "paint"]

Random: TypeAlias = np.random.Generator
Colour: TypeAlias = tuple[int, int, int]


def paint(kind: str, random: Random, size: tuple[int, int]) -> Picture:
    """Paint a place of *kind* (one of `KINDS`), *size* = (width, height)."""
    picture = KINDS[kind](random, *size).astype(np.float32)
    grain = _make_noise(random, *size, coarse=60)[..., None] * 26 - 13
    fine = random.normal(0, 4, (*size[::-1], 1)).astype(np.float32)
    return np.asarray(np.clip(picture + grain + fine, 0, 255), np.uint8)


def _paint_hills(random: Random, width: int, height: int) -> Picture:
    hue = float(random.uniform(0, 1))
    picture = _paint_gradient(
        width, height, _convert_hsv(hue, 0.35, 0.95), _convert_hsv(hue + 0.1, 0.2, 1)
    )
    sun = (int(random.integers(width)), int(height * random.uniform(0.1, 0.35)))
    cv2.circle(picture, sun, height // 9, _convert_hsv(0.13, 0.5, 1), -1, cv2.LINE_AA)
    across = np.arange(0, width + 8, 8)
    for layer in range(4):
        phase = random.uniform(0, 6.3, 3)
        wave = sum(np.sin(across / width * 6 * (k + 1) + phase[k]) / (k + 1) for k in range(3))
        top = height * (0.35 + 0.15 * layer) + np.asarray(wave) * height * 0.08
        outline = [*np.column_stack((across, top)).tolist(), [width, height], [0, height]]
        shade = _convert_hsv(hue + 0.3 + 0.05 * layer, 0.5, 0.75 - 0.13 * layer)
        cv2.fillPoly(picture, [np.array(outline, np.int32)], shade, cv2.LINE_AA)
        for _ in range(60):
            place = int(random.integers(len(across)))
            x, y = int(across[place]), int(top[place] + random.uniform(0, height * 0.2))
            _draw_tree(picture, (x, y), int(height * random.uniform(0.02, 0.05)), random)
    return picture


def _draw_tree(picture: Picture, foot: tuple[int, int], tall: int, random: Random) -> None:
    x, y = foot
    shade = _convert_hsv(float(random.uniform(0.22, 0.42)), 0.7, float(random.uniform(0.25, 0.6)))
    crown = np.array([(x - tall // 2, y), (x + tall // 2, y), (x, y - tall * 2)], np.int32)
    cv2.fillPoly(picture, [crown], shade, cv2.LINE_AA)


def _paint_city(random: Random, width: int, height: int) -> Picture:
    hue = float(random.uniform(0.55, 0.85))
    picture = _paint_gradient(
        width, height, _convert_hsv(hue, 0.7, 0.25), _convert_hsv(hue - 0.5, 0.5, 0.7)
    )
    for depth in range(3):
        left = -20
        while left < width:
            wide = int(random.integers(height // 9, height // 4))
            top = int(height * random.uniform(0.15 + 0.15 * depth, 0.55 + 0.1 * depth))
            wall = _convert_hsv(float(random.uniform(0, 1)), 0.25, 0.25 + 0.14 * depth)
            cv2.rectangle(picture, (left, top), (left + wide, height), wall, -1)
            _draw_windows(picture, (left, top), wide, random)
            left += wide + int(random.integers(2, 12))
    return picture


_LIT = 0.35
"""Windows darker than this show the wall."""


def _draw_windows(picture: Picture, corner: tuple[int, int], wide: int, random: Random) -> None:
    step = int(random.integers(11, 20))
    for y in range(corner[1] + 6, picture.shape[0], step):
        for x in range(corner[0] + 5, corner[0] + wide - step // 2, step):
            lit = float(random.uniform(0, 1))
            if lit > _LIT:
                shade = _convert_hsv(0.12 + 0.04 * lit, 0.6, lit)
                cv2.rectangle(picture, (x, y), (x + step // 2, y + step // 2), shade, -1)


def _paint_sea(random: Random, width: int, height: int) -> Picture:
    hue = float(random.uniform(0.48, 0.62))
    picture = _paint_gradient(
        width, height, _convert_hsv(hue, 0.2, 0.98), _convert_hsv(hue, 0.85, 0.45)
    )
    for _ in range(500):
        x, y = int(random.integers(width)), int(random.uniform(0.4, 1) * height)
        long = int((y / height) * random.uniform(10, 60))
        shade = _convert_hsv(hue, float(random.uniform(0.2, 0.9)), float(random.uniform(0.4, 1)))
        cv2.ellipse(picture, (x, y), (long, 3), 0, 180, 360, shade, 2, cv2.LINE_AA)
    for _ in range(int(random.integers(4, 9))):
        x, y = int(random.integers(width)), int(random.uniform(0.38, 0.9) * height)
        tall = int(y * random.uniform(0.12, 0.3))
        sail = np.array([(x, y), (x, y - tall), (x + tall // 2, y)], np.int32)
        cv2.fillPoly(
            picture, [sail], _convert_hsv(float(random.uniform(0, 1)), 0.6, 1), cv2.LINE_AA
        )
        hull = np.array([(x - tall // 3, y), (x + tall // 2, y), (x + tall // 3, y + tall // 6)])
        cv2.fillPoly(picture, [hull.astype(np.int32)], _convert_hsv(0.06, 0.7, 0.4), cv2.LINE_AA)
    return picture


def _paint_garden(random: Random, width: int, height: int) -> Picture:
    base = _make_noise(random, width, height, coarse=30)[..., None]
    dark, light = np.array(_convert_hsv(0.3, 0.8, 0.25)), np.array(_convert_hsv(0.25, 0.6, 0.6))
    picture: Picture = np.asarray(dark + (light - dark) * base, np.uint8)
    hues = random.uniform(0, 1, 3)
    for _ in range(130):
        x, y = int(random.integers(width)), int(random.integers(height))
        size = int(height * random.uniform(0.015, 0.06))
        shade = _convert_hsv(float(hues[random.integers(3)]), float(random.uniform(0.5, 0.9)), 0.95)
        turn, petals = float(random.uniform(0, 6.3)), int(random.integers(5, 9))
        for petal in range(petals):
            angle = turn + petal * 6.283 / petals
            tip = (int(x + np.cos(angle) * size), int(y + np.sin(angle) * size))
            cv2.ellipse(
                picture,
                tip,
                (size, size // 2),
                float(np.degrees(angle)),
                0,
                360,
                shade,
                -1,
                cv2.LINE_AA,
            )
        cv2.circle(picture, (x, y), size // 2 + 1, _convert_hsv(0.13, 0.8, 0.9), -1, cv2.LINE_AA)
    return picture


def _paint_tiles(random: Random, width: int, height: int) -> Picture:
    picture = np.zeros((height, width, 3), np.uint8)
    hues = random.uniform(0, 1, 4)
    step = int(random.integers(34, 70))
    for y in range(0, height, step):
        for x in range(0, width, step):
            ground = _convert_hsv(
                float(hues[random.integers(4)]), float(random.uniform(0.2, 0.7)), 0.85
            )
            cv2.rectangle(picture, (x, y), (x + step - 2, y + step - 2), ground, -1)
            ink = _convert_hsv(
                float(hues[random.integers(4)]), 0.7, float(random.uniform(0.2, 0.6))
            )
            corners = random.integers(0, step, (int(random.integers(3, 6)), 2)) + np.array((x, y))
            cv2.fillPoly(picture, [corners.astype(np.int32)], ink, cv2.LINE_AA)
    return picture


def _paint_board(random: Random, width: int, height: int) -> Picture:
    hue = float(random.uniform(0, 1))
    paper = _paint_gradient(
        width, height, _convert_hsv(hue, 0.12, 0.97), _convert_hsv(hue + 0.05, 0.2, 0.88)
    )
    letters = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZ0123456789"))
    y = 30
    while y < height:
        size = float(random.uniform(0.5, 1.6))
        line = "".join(random.choice(letters, width // int(16 * size)).tolist())
        ink = _convert_hsv(float(random.uniform(0, 1)), 0.8, float(random.uniform(0.15, 0.6)))
        cv2.putText(
            paper,
            line,
            (int(random.integers(0, 60)), y),
            cv2.FONT_HERSHEY_DUPLEX,
            size,
            ink,
            2,
            cv2.LINE_AA,
        )
        y += int(26 * size) + 14
    return paper


KINDS: dict[str, Callable[[Random, int, int], Picture]] = {
    "hills": _paint_hills,
    "city": _paint_city,
    "sea": _paint_sea,
    "garden": _paint_garden,
    "tiles": _paint_tiles,
    "board": _paint_board,
}


def _convert_hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(blue * 255), int(green * 255), int(red * 255)


def _paint_gradient(width: int, height: int, top: Colour, bottom: Colour) -> Picture:
    part = np.linspace(0, 1, height)[:, None, None]
    column = np.array(top) * (1 - part) + np.array(bottom) * part
    return np.ascontiguousarray(np.broadcast_to(column, (height, width, 3)).astype(np.uint8))


def _make_noise(random: Random, width: int, height: int, *, coarse: int) -> Floats:
    """Make smooth noise of several sizes, 0..1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        cells = max(2, (width >> octave) // coarse), max(2, (height >> octave) // coarse)
        cells = cells[0] << (2 * octave), cells[1] << (2 * octave)
        noise = random.uniform(0, 1, cells[::-1]).astype(np.float32)
        smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        total += np.asarray(smooth, np.float32) * 0.5 ** (octave + 1)
    return np.asarray(np.clip(total, 0, 1), np.float32)
