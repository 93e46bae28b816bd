"""Draw figures in striped clothes before a still scene, and film them."""

from __future__ import annotations

import cv2
import numpy as np

from memories_async.local.engine.video.scenery import paint

SIZE = (320, 180)
RED = ((40, 60, 90), (30, 30, 200), (30, 30, 200), (120, 40, 30), (120, 40, 30))
GREEN = ((30, 30, 30), (60, 160, 60), (60, 160, 60), (60, 160, 60), (200, 200, 200))
"""Colours from head to foot."""


def scene(kind="hills", width=SIZE[0]):
    """A place without anybody."""
    return paint(kind, np.random.default_rng(6), (width, SIZE[1]))


def dressed(picture, colours, *, left, top=30, tall=130):
    """Put a figure into *picture*."""
    wide, step = tall // 3, tall // len(colours)
    for at, colour in enumerate(colours):
        inset = wide // 4 if at == 0 else 0
        corner = (left + inset, top + at * step)
        cv2.rectangle(picture, corner, (left + wide - inset, top + (at + 1) * step), colour, -1)
    return picture


def portrait(colours, *, kind="city"):
    """A picture of somebody, cut out elsewhere."""
    ground = np.ascontiguousarray(scene(kind)[:, :80])
    return dressed(ground, colours, left=20, top=10, tall=165)


def film(path, picture, *, seconds=16, rate=8):
    """Write what *picture* gives for each second to *path*."""
    size = picture(0).shape[1::-1]
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    for at in range(seconds * rate):
        out.write(picture(at / rate))
    out.release()
    return path
