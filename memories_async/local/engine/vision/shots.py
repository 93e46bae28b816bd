"""Detect cuts and dissolves between shots in small Lab pictures, eight a second.

A cut is a difference over most of the picture that stands out from its neighbourhood; motion raises
the neighbourhood too. After a single odd picture (a flash) the look before it returns: no cut. A
dissolve changes every pixel straight from one shot to the next, so the distance between both ends
is as large as the sum of its steps; motion is not straight.
"""

from __future__ import annotations

from collections import deque

from attrs import Factory, define

from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.protocol import Shot

__all__ = ["RATE", "Differences", "detect_shots", "reduce_to_lab"]

RATE = 8.0
"""Pictures a second that `detect_shots` expects."""
_SIZE = (32, 18)
_LAGS = (1, 2, 3, 8)
_STEP, _WIDE, _SHARE, _WIDE_SHARE, _FLAT = 0, 3, 4, 5, 6
"""Columns of a row: the lags in turn, the share of pixels that changed in one and in eight, flat."""
_REACH = 6
"""Neighbours on each side that make the neighbourhood."""
_LEAST, _TIMES, _CUT_SHARE = 6.0, 2.8, 0.5
"""A cut differs at least `_LEAST`, `_TIMES` its neighbourhood, and on this share of pixels."""
_DISSOLVED, _STRAIGHT, _SUDDEN, _DISSOLVED_SHARE = 30.0, 0.88, 0.6, 0.85
"""A dissolve: difference over a second, straightness, largest step, share of changed pixels."""
_CHANGED = 8.0
"""Distance from which a pixel counts as changed."""
_PAUSE = 2
"""Pictures that may be missing in a dissolve."""
_EVEN = 5.0
"""Spread of lightness under which a picture is flat, such as the black before a fade."""
_SHORTEST = 0.5
"""Seconds; what is shorter is a flash, a stutter, or the middle of a quick dissolve."""


def reduce_to_lab(picture: Picture) -> Floats:
    """Reduce *picture* to 32 x 18 Lab values, each 0..255."""
    small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32)


@define
class Differences:
    """Differences of each picture to earlier ones; holds eight small pictures."""

    rows: list[tuple[float, ...]] = Factory(list[tuple[float, ...]])
    _before: deque[Floats] = Factory(lambda: deque(maxlen=max(_LAGS)))

    def add(self, small: Floats) -> None:
        """Add the next picture, as `reduce_to_lab` returns it."""
        earlier = list(reversed(self._before))
        gaps = [
            _subtract(earlier[lag - 1], small) if lag <= len(earlier) else np.zeros(1, np.float32)
            for lag in _LAGS
        ]
        shares = [float((gaps[lag] > _CHANGED).mean()) for lag in (_STEP, _WIDE)]
        flat = float(small[..., 0].std() < _EVEN)
        self.rows.append((*(float(gap.mean()) for gap in gaps), *shares, flat))
        self._before.append(small)


def detect_shots(
    times: Floats, gaps: Floats, *, end: float, start: float = 0.0
) -> tuple[Shot, ...]:
    """Split *start*..*end* into shots; *gaps* has the row of `Differences` for each of *times*."""
    borders = [start]
    for place in sorted({*_find_cuts(gaps), *_find_dissolves(gaps)}):
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


def _find_dissolves(gaps: Floats) -> list[int]:
    """Find the middle of each run of rows during which the picture changes straight."""
    reach = _LAGS[_WIDE]
    inside = [
        place
        for place in range(reach, len(gaps))
        if _is_straight(gaps[place - reach + 1 : place + 1])
    ]
    runs: list[list[int]] = []
    for place in inside:
        if runs and place - runs[-1][-1] <= _PAUSE:
            runs[-1].append(place)
        else:
            runs.append([place])
    # The strongest row ends the second that holds the dissolve: its middle is half a second back.
    ends = [max(run, key=lambda at: float(gaps[at, _WIDE])) for run in runs]
    # A fade from black is no new border: the fade to black was one, or the film begins there.
    return [
        end - reach // 2
        for end in ends
        if not gaps[max(0, end - 2 * reach) : end - reach + 1, _FLAT].any()
    ]


def _is_straight(second: Floats) -> bool:
    """Whether the rows of one second are those of a dissolve."""
    way, steps = float(second[-1, _WIDE]), second[:, _STEP]
    return (
        way >= _DISSOLVED
        and float(second[-1, _WIDE_SHARE]) >= _DISSOLVED_SHARE
        and way >= _STRAIGHT * float(steps.sum())
        and float(steps.max()) <= _SUDDEN * way
    )


def _subtract(left: Floats, right: Floats) -> Floats:
    """Return the distance of each pixel; a common change of lightness (exposure) counts by half."""
    gap = right - left
    light = gap[..., 0] - 0.5 * float(gap[..., 0].mean())
    size = np.abs(light) + np.abs(gap[..., 1]) + np.abs(gap[..., 2])
    return np.asarray(size, np.float32)
