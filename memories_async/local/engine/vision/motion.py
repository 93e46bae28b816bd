"""Measure what moves in a film, in small grey pictures, apart from light, grain and compression.

Two pictures are compared around each pixel: what changes there beyond brightness and contrast has
moved. Slow motion shows between pictures further apart.
"""

from __future__ import annotations

from collections import deque

from attrs import Factory, define, frozen

from memories_async.local.engine._cv import Floats, Picture, cv2, np, shrink

__all__ = ["LAGS", "LEAST_SHARE", "Detail", "Motions", "find_limit", "measure_change"]

LAGS = (1, 4, 16, 64, 256)
"""Pictures between two that are compared, eight a second: an eighth of a second to half a minute."""
LEAST_SHARE = 0.0004
"""Share of the picture that must have changed: a head of a twentieth of its height that nods."""
_EVERY = 4
"""Pictures from one comparison over more than one picture to the next."""
_LONGEST = 120
"""Pixels of the longer side of the pictures that are compared."""
_SMOOTH, _AROUND = (9, 9), (5, 5)
"""Pixels that make up the brightness of a place, and its surroundings."""
_LEAST, _TIMES, _GRAIN, _BLACK = 2.0, 2.5, 2.2, 6.0
"""Change of lightness, 0..100, from which something has moved: more than `_TIMES` the grain, which
counts as `_GRAIN` at most; and lightness up to which it is cut off."""
_PART = 0.15
"""Part of the contrast that must have changed, as power."""
_FLAT = 0.05
"""Contrast of rounded values, as power."""


@frozen(kw_only=True)
class Detail:
    """A small picture, and what stands out in it."""

    light: Floats
    """Lightness, 0..100."""
    detail: Floats
    """Lightness less that of the surroundings."""
    contrast: Floats
    """Mean square of the detail around each pixel."""
    brightness: float
    """Mean lightness."""

    @classmethod
    def of(cls, light: Floats) -> Detail:
        """Compute the detail of the lightness *light*."""
        detail = light - np.asarray(cv2.boxFilter(light, -1, _SMOOTH), np.float32)
        contrast = np.asarray(cv2.boxFilter(detail * detail, -1, _AROUND), np.float32)
        return cls(light=light, detail=detail, contrast=contrast, brightness=float(light.mean()))

    @classmethod
    def of_picture(cls, picture: Picture) -> Detail:
        """Compute the detail of *picture*, reduced to 120 pixels where it is larger."""
        # Grey first: reducing three channels takes three times as long.
        grey = shrink(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), _LONGEST)
        return cls.of(np.asarray(grey, np.float32) * np.float32(100 / 255))


def measure_change(one: Detail, other: Detail) -> Floats:
    """Measure how much of the contrast around each pixel brightness does not explain; 0..100."""
    common = np.asarray(cv2.boxFilter(one.detail * other.detail, -1, _AROUND), np.float32)
    square = np.square(np.maximum(common, 0))
    left = np.maximum(
        one.contrast - square / (other.contrast + _FLAT),
        other.contrast - square / (one.contrast + _FLAT),
    )
    return np.asarray(np.sqrt(np.maximum(left, 0)), np.float32)


def find_limit(change: Floats, light: Floats) -> float:
    """Find the value of *change* above which something has moved, from the grain in it.

    *light* is the lightness of one of the pictures: black shows no grain.
    """
    lit = change[light > _BLACK]
    values = lit if len(lit) * 10 > change.size else change.reshape(-1)
    grain = float(np.partition(values, len(values) // 4)[len(values) // 4])
    return max(_LEAST, _TIMES * min(grain, _GRAIN))


@define
class Motions:
    """Measures which share of the picture moved; holds half a minute of small pictures."""

    rows: list[tuple[float, ...]] = Factory(list[tuple[float, ...]])
    """For each picture the shares that changed since those `LAGS` before; 0 where not compared."""
    _before: deque[Detail] = Factory(lambda: deque[Detail](maxlen=max(LAGS)))

    def add(self, picture: Picture) -> None:
        """Add the next picture."""
        new = Detail.of_picture(picture)
        is_due = len(self.rows) % _EVERY == 0
        self.rows.append(
            tuple(
                _measure_share(self._before[-lag], new)
                if lag <= len(self._before) and (is_due or lag == 1)
                else 0.0
                for lag in LAGS
            )
        )
        self._before.append(new)


def _measure_share(one: Detail, other: Detail) -> float:
    """Measure the share of the picture that changed from *one* to *other*."""
    change = measure_change(one, other)
    limit = find_limit(change, other.light) * _compare_light(one, other)
    contrast = np.maximum(one.contrast, other.contrast) + _FLAT
    return float(((change > limit) & (change * change > _PART * contrast)).mean())


def _compare_light(one: Detail, other: Detail) -> float:
    """Compare how light two pictures are, at least 1: a fade makes rounding visible."""
    dark, bright = sorted((one.brightness, other.brightness))
    return max((bright + 1) / (dark + 1), (101 - dark) / (101 - bright))
