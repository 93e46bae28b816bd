"""Named colours in a picture: the share of it that a person would call red, blue, grey ..."""

from __future__ import annotations

import re
from functools import cache

from memories_async.local.engine._cv import Bytes, Floats, Picture, cv2, np
from memories_async.local.engine.vision.colour_names import NAMES, VALUES

__all__ = ["measure_shares"]

_SIZE = (96, 54)
_BITS = 5
"""Bits of each channel that tell colours apart."""
_LIGHTNESS = 0.8
"""Weight of lightness beside a and b of CIELAB: shades of one colour share its name."""
_CODE = re.compile(r"\b[0-9a-f]{6}\b")


def measure_shares(picture: Picture) -> Floats:
    """Measure the share (0..1) of *picture* in each colour of `NAMES`; they sum to 1."""
    small = np.asarray(cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = small.reshape(-1, 3) >> (8 - _BITS)
    named = _name_all()[coarse[:, 0], coarse[:, 1], coarse[:, 2]]
    counts = np.bincount(named, minlength=len(NAMES))
    return np.asarray(counts / named.size, np.float32)


@cache
def _name_all() -> Bytes:
    """Name every colour, by its blue, green and red: the place in `NAMES` of the nearest value."""
    steps = np.arange(2**_BITS, dtype=np.float32) * 2 ** (8 - _BITS) + 2 ** (7 - _BITS)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    codes = [(at, code) for at, name in enumerate(NAMES) for code in _CODE.findall(VALUES[name])]
    centres = _convert(
        np.array([[list(bytes.fromhex(code))[::-1] for _, code in codes]], np.float32)
    )
    # The nearest centre: of |p - c|^2 only the terms with c differ among centres.
    nearness = _convert(grid.reshape(1, -1, 3)) @ centres.T - (centres**2).sum(axis=1) / 2
    places = np.array([at for at, _ in codes], np.uint8)
    return np.asarray(places[nearness.argmax(axis=1)].reshape(grid.shape[:3]), np.uint8)


def _convert(colours: Floats) -> Floats:
    """Convert one row of colours, blue first and 0..255, to CIELAB, lightness weighted."""
    lab = np.asarray(cv2.cvtColor(colours / 255, cv2.COLOR_BGR2LAB), np.float32)[0]
    return np.asarray(lab * np.array([_LIGHTNESS, 1, 1], np.float32), np.float32)
