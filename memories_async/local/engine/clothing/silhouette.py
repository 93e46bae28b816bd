"""The person in a picture that a caller cut out: which pixels are the person's, which the ground's.

The picture is taken at its word: somebody stands in the middle, and fills it from head to foot.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Flags, Floats, Picture, cv2, np, shrink
from memories_async.local.engine.clothing.descriptor import describe
from memories_async.local.engine.protocol import UnreadableImage

__all__ = ["worn_in"]

_SLIM = 1.55
"""Height over width from which a picture can be that of somebody standing; portraits are wider."""
_TALL = 64
"""Pixels of height under which clothes are not to be told apart."""
_LONGEST = 160
_TURNS = 4
_BODY = ((0.5, 0.5), (0.36, 0.5))
"""Middle and half axes (shares of the picture) of the ellipse that probably holds the person."""
_CORE = ((0.5, 0.45), (0.1, 0.36))
"""The same of the one, from neck to knee, that surely shows nothing else."""
_EDGE = 0.04
"""Share of the width, on each side, that shows the ground."""


def worn_in(picture: Picture) -> Floats:
    """Describe the clothing in *picture* (see `describe`), in two readings of where it ends.

    One trusts the picture's own top and bottom, one those of the silhouette; 20-40 ms.
    Raises `UnreadableImage` for a picture that cannot be that of somebody standing.
    """
    height, width = picture.shape[:2]
    if height < max(_TALL, _SLIM * width):
        raise UnreadableImage(
            f"a picture of {width}x{height} pixels is no crop of somebody standing "
            f"(at least {_TALL} pixels high, and {_SLIM:g} times as high as wide)"
        )
    lab = np.asarray(cv2.cvtColor(shrink(picture, _LONGEST), cv2.COLOR_BGR2LAB), np.uint8)
    mask = _silhouette(lab)
    held = np.flatnonzero(mask.any(axis=1))
    tight = (int(held[0]), int(held[-1]) + 1)
    return np.stack([describe(lab, mask, rows=rows) for rows in ((0, len(lab)), tight)])


def _silhouette(lab: Picture) -> Flags:
    height, width = lab.shape[:2]
    guess = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    for (middle, axes), what in ((_BODY, cv2.GC_PR_FGD), (_CORE, cv2.GC_FGD)):
        place = round(middle[0] * width), round(middle[1] * height)
        reach = max(1, round(axes[0] * width)), round(axes[1] * height)
        cv2.ellipse(guess, place, reach, 0, 0, 360, what, -1)
    edge = max(1, round(_EDGE * width))
    guess[:, :edge] = guess[:, -edge:] = cv2.GC_BGD
    cv2.setRNGSeed(1)  # its colour models start from random pixels
    mask = np.asarray(_cut(lab, guess) & 1, np.uint8)  # surely or probably the person's
    _, names, parts, _ = cv2.connectedComponentsWithStats(mask)
    # What hangs together with the core is the person; the ground is number 0.
    largest = 1 + int(np.asarray(parts)[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(names == largest)


def _cut(lab: Picture, guess: Picture) -> Picture:
    ground, person = np.zeros((1, 65)), np.zeros((1, 65))
    found, _, _ = cv2.grabCut(
        lab, guess, (0, 0, 1, 1), ground, person, _TURNS, cv2.GC_INIT_WITH_MASK
    )
    return np.asarray(found, np.uint8)
