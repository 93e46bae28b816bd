"""Named colours in a picture: the share of it that a person would call red, blue, grey ...

Borders lie in hue, chroma and lightness of Lab. Orange and pink are unreliable: wood and skin share
them.
"""

# ruff: noqa: PLR2004 # borders of colours are numbers by nature

from __future__ import annotations

from memories_async.local.engine._cv import Floats, Numbers, Picture, cv2, np

__all__ = ["NAMES", "measure_shares"]

NAMES = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)
_SIZE = (96, 54)
_GREY_BELOW = 12.0
"""Chroma below which a colour is black, grey or white."""


def measure_shares(picture: Picture) -> Floats:
    """Measure the share (0..1) of *picture* in each colour of `NAMES`; they sum to 1."""
    small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA)
    scaled = np.asarray(small, np.float32) / 255
    lab = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), np.float32)
    named = _name_pixels(lab[..., 0], lab[..., 1], lab[..., 2])
    counts = np.bincount(named.reshape(-1), minlength=len(NAMES))
    return np.asarray(counts / named.size, np.float32)


def _name_pixels(light: Floats, a: Floats, b: Floats) -> Numbers:
    """Name each pixel; lightness 0..100, a and b about -100..100."""
    chroma = np.hypot(a, b)
    hue = np.mod(np.degrees(np.arctan2(b, a)), 360)
    # Degrees in Lab: red 10-45, orange 45-72, yellow 72-110, green 110-200, blue 200-300.
    hues = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
    borders = np.array([48, 72, 108, 200, 299, 332, 352])
    places = np.array([NAMES.index(name) for name in (*hues, "red")])
    named = places[np.digitize(hue, borders)]
    warm = (named == NAMES.index("red")) & (light > 62) & (chroma < 55)
    named = np.where(warm, NAMES.index("pink"), named)
    dull = np.isin(named, [NAMES.index("orange"), NAMES.index("red"), NAMES.index("yellow")])
    brown = dull & (light < 48) & (hue > 38) & (hue < 100) & (chroma < 55)
    named = np.where(brown, NAMES.index("brown"), named)
    plain = chroma < _GREY_BELOW
    grey = np.where(light > 82, NAMES.index("white"), NAMES.index("grey"))
    grey = np.where(light < 22, NAMES.index("black"), grey)
    named = np.where(plain, grey, named)
    return np.asarray(np.where(light < 10, NAMES.index("black"), named), np.int64)
