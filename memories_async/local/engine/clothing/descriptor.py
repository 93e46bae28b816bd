"""The descriptor of clothing: Lab histograms of six stripes from head to foot, as one row."""

from __future__ import annotations

import itertools

from memories_async.local.engine._cv import Flags, Floats, Numbers, Picture, np, unit

__all__ = ["LENGTH", "describe"]

_STRIPES = 6
_LIGHTS, _CHROMAS = 8, 6
_BOXES = _LIGHTS * _CHROMAS * _CHROMAS
_LEAST, _MOST = 104.0, 152.0
"""Chroma of 0..255 that clothes have under usual light; the rest joins the ends."""
LENGTH = _STRIPES * _BOXES
"""Numbers of a descriptor."""


def describe(lab: Picture, mask: Flags, *, rows: tuple[int, int]) -> Floats:
    """Describe what *mask* leaves of *lab*, head and feet being at *rows*: length 1, or all zero.

    The product of two such rows is the likeness of the clothing: each stripe's colours compared by
    their shared parts (Bhattacharyya), weighted by how much of the blob lies in the stripe.
    """
    top, bottom = rows
    ys, xs = np.nonzero(mask)
    # What sticks out above or below belongs to the first or the last stripe.
    stripe = np.clip((ys - top) * _STRIPES // max(1, bottom - top), 0, _STRIPES - 1)
    pixels = lab[ys, xs].astype(np.float32)
    counts = np.zeros(LENGTH)
    low_and_part = [
        _soft(pixels[:, 0] * ((_LIGHTS - 1) / 255), _LIGHTS),
        *(_soft(_chroma(pixels[:, at]), _CHROMAS) for at in (1, 2)),
    ]
    # Each pixel is spread over the nearest boxes, so that their borders are soft.
    for corner in itertools.product((0, 1), repeat=3):
        box, weight = stripe, np.ones(len(ys), np.float32)
        for up, (low, part), size in zip(
            corner, low_and_part, (_LIGHTS, _CHROMAS, _CHROMAS), strict=True
        ):
            box = box * size + low + up
            weight = weight * (part if up else 1 - part)
        counts += np.bincount(box, weight, LENGTH)
    return unit(np.sqrt(counts).astype(np.float32))


def _chroma(values: Floats) -> Floats:
    return (values - _LEAST) * ((_CHROMAS - 1) / (_MOST - _LEAST))


def _soft(values: Floats, boxes: int) -> tuple[Numbers, Floats]:
    """Give the lower box of each value, and how far it is on the way to the next one."""
    inside = np.clip(values, 0, boxes - 1)
    low = np.minimum(inside.astype(np.int64), boxes - 2)
    return low, np.asarray(inside - low, np.float32)
