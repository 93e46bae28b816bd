"""Detect cuts between shots in small Lab pictures, eight a second; split a film at cuts and dissolves.

A cut is a difference over most of the picture that stands out from its neighbourhood; motion raises
the neighbourhood too. After a single odd picture (a flash) the look before it returns: no cut.
"""

from __future__ import annotations

from collections import deque
from typing import Self

from attrs import Factory, define

from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.vision.dissolves import Blends, find_dissolves

__all__ = ["RATE", "Changes", "detect_shots", "reduce_to_lab"]

RATE = 8.0
"""Pictures a second that `detect_shots` expects."""
_SIZE = (32, 18)
_LAGS = (1, 2, 3)
_STEP, _SHARE = 0, 3
"""Columns of a row: the lags in turn, and the share of pixels that changed in one."""
_REACH = 6
"""Neighbours on each side that make the neighbourhood."""
_LEAST, _TIMES, _CUT_SHARE = 6.0, 2.8, 0.5
"""A cut differs at least `_LEAST`, `_TIMES` its neighbourhood, and on this share of pixels."""
_CHANGED = 8.0
"""Distance from which a pixel counts as changed."""
_SHORTEST = 0.5
"""Seconds; what is shorter is a flash, a stutter, or the middle of a quick dissolve."""


def reduce_to_lab(picture: Picture) -> Floats:
    """Reduce *picture* to 32 x 18 Lab values, each 0..255."""
    small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32)


@define
class Changes:
    """Measures how each picture differs from earlier ones; holds a few small pictures."""

    rows: list[tuple[float, ...]] = Factory(list[tuple[float, ...]])
    blends: Blends = Factory(Blends)
    _before: deque[Floats] = Factory(lambda: deque(maxlen=max(_LAGS)))

    def add(self, picture: Picture, small: Floats) -> None:
        """Add the next *picture*; *small* is what `reduce_to_lab` returns for it."""
        earlier = list(reversed(self._before))
        gaps = [
            _subtract(earlier[lag - 1], small) if lag <= len(earlier) else np.zeros(1, np.float32)
            for lag in _LAGS
        ]
        share = float((gaps[_STEP] > _CHANGED).mean())
        self.rows.append((*(float(gap.mean()) for gap in gaps), share))
        self._before.append(small)
        self.blends.add(picture)

    def take(self, part: slice) -> Self:
        """Return the rows of *part*, to find the shots in them alone."""
        return type(self)(rows=self.rows[part], blends=Blends(rows=self.blends.rows[part]))


def detect_shots(
    times: Floats, changes: Changes, *, end: float, start: float = 0.0
) -> tuple[Shot, ...]:
    """Split *start*..*end* into shots; *changes* has a row for each of *times*."""
    gaps, blends = (np.array(rows, np.float32) for rows in (changes.rows, changes.blends.rows))
    cuts = _find_cuts(gaps)
    borders = [start]
    for place in sorted({*cuts, *find_dissolves(blends, cuts)}):
        time = float(times[place - 1] + times[place]) / 2
        if time - borders[-1] >= _SHORTEST and end - time >= _SHORTEST:
            borders.append(time)
    ends = [*borders[1:], end]
    return tuple(
        Shot(start_time=round(start, 3), end_time=round(end, 3))
        for start, end in zip(borders, ends, strict=True)
    )


def _find_cuts(gaps: Floats) -> list[int]:
    """Find the rows whose picture starts a new shot at once."""
    return [
        place
        for place in range(1, len(gaps))
        if gaps[place, _SHARE] >= _CUT_SHARE
        and _stands_out(gaps[1:, _STEP], place - 1)
        and not _is_flash(gaps, place)
    ]


def _stands_out(step: Floats, at: int) -> bool:
    around = np.concatenate([step[max(0, at - _REACH) : at], step[at + 1 : at + 1 + _REACH]])
    # The largest neighbour does not count: another cut may be near.
    usual = float(np.sort(around)[:-1].mean()) if len(around) > 1 else 0.0
    return float(step[at]) >= max(_LEAST, _TIMES * usual)


def _is_flash(gaps: Floats, place: int) -> bool:
    """Whether the look before *place* returns soon after it, or its own was there before."""
    back = [float(gaps[place + lag, lag]) for lag in (1, 2) if place + lag < len(gaps)]
    back += [float(gaps[place, 1])] if place > 1 else []
    return min(back, default=np.inf) < 0.4 * float(gaps[place, _STEP])


def _subtract(left: Floats, right: Floats) -> Floats:
    """Return the distance of each pixel; a common change of lightness (exposure) counts by half."""
    gap = right - left
    light = gap[..., 0] - 0.5 * float(gap[..., 0].mean())
    size = np.abs(light) + np.abs(gap[..., 1]) + np.abs(gap[..., 2])
    return np.asarray(size, np.float32)
