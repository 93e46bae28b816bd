"""The background before a fixed camera, and what stands before it: two pictures subtracted.

The background is what each place of the picture comes back to most often. Neither the median nor
the commonest value will do: persons may stand at one place for most of the time, and several of
them in the same colour. But each comes and goes once, and between two of them the background is
seen again. What never leaves belongs to it.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Flags, Floats, Picture, cv2, np

__all__ = ["background", "foreground"]

_LOOKED = 128
"""Pictures of a shot that are looked at; more would tell little more."""
_CANDIDATES = 16
"""Pictures that may show the scene at a place."""
_SAME = 16
"""Distance in Lab (of 255, lightness halved) up to which a place looks the same."""
_TOGETHER = (7, 7)
"""Pixels whose votes are counted together."""
_MOST = 30.0
"""Visits counted; what flickers would win otherwise."""
_STAYS = 0.9
"""Visits that being there all the time is worth: less than one, it decides between equals."""
_LIGHTER, _COLOURED = 0.6, 1.5
_OTHER = 24.0
"""Distance in Lab, lightness and colours weighted, from which a place is taken up by something."""


def background(pictures: Picture) -> Picture:
    """Give the background of *pictures* (one shot's, small, in Lab, one after another)."""
    looked = pictures[_evenly(len(pictures), _LOOKED)]
    best = looked[0]
    votes = np.full(best.shape[:2], -1, np.float32)
    for candidate in looked[_evenly(len(looked), _CANDIDATES)]:
        counted = cv2.boxFilter(_visits(_same(looked, candidate)), -1, _TOGETHER)
        better = counted > votes
        best = np.asarray(np.where(better[..., None], candidate, best), np.uint8)
        votes = np.where(better, counted, votes)
    # One picture is grainy; the mean of all that show the same is not.
    same = _same(looked, best)[..., None].astype(np.float32)
    # The one picture counts as well: where nothing else is like it, it stands.
    mean = ((looked * same).sum(axis=0) + best) / (same.sum(axis=0) + 1)
    return np.asarray(np.rint(mean), np.uint8)


def foreground(picture: Picture, behind: Picture) -> Flags:
    """Say which pixels of *picture* differ from the background *behind*; a light that changes everywhere does not."""
    gap = picture.astype(np.float32) - behind
    light = np.abs(gap[..., 0] - np.median(gap[..., 0])) * _LIGHTER
    colour = (np.abs(gap[..., 1]) + np.abs(gap[..., 2])) * _COLOURED
    mask = (np.maximum(light, colour) > _OTHER).astype(np.uint8)
    for smooth in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN):
        mask = np.asarray(cv2.morphologyEx(mask, smooth, np.ones((3, 3), np.uint8)), np.uint8)
    return np.asarray(mask > 0, np.bool_)


def _evenly(many: int, most: int) -> list[int]:
    count = min(many, most)
    return [at * (many - 1) // max(1, count - 1) for at in range(count)]


def _same(pictures: Picture, one: Picture) -> Flags:
    gap = np.maximum(pictures, one) - np.minimum(pictures, one)
    far = (gap[..., 0] >> 1) + np.minimum(gap[..., 1], 127) + np.minimum(gap[..., 2], 127)
    return np.asarray(far < _SAME, np.bool_)


def _visits(same: Flags) -> Floats:
    """Count for each place how often the scene is seen anew, and a little how long."""
    steady = same.copy()
    # Two of three, so that a flicker is neither a departure nor a return.
    steady[1:-1] = same[1:-1] & (same[:-2] | same[2:]) | same[:-2] & same[2:]
    visits = steady[0].astype(np.float32) + (steady[1:] & ~steady[:-1]).sum(axis=0)
    return np.asarray(np.minimum(visits, _MOST) + _STAYS * same.mean(axis=0), np.float32)
