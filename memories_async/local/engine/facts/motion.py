"""Name the motion of a shot: how much of the picture moves, and when; or that nothing did.

Light, grain, compression and dissolves are no motion. Where something changed, but not as things do
that move (a title that appears, a key frame of a poor film), nothing is said.
"""

from __future__ import annotations

from itertools import pairwise

from memories_async.local.engine._cv import Flags, Floats, np
from memories_async.local.engine.vision.index import PixelIndex
from memories_async.local.engine.vision.motion import LAGS, LEAST_SHARE

__all__ = ["name_motion"]

_DEGREES = ((0.05, "little motion"), (0.25, "some motion"), (1.1, "strong motion"))
"""Shares of the picture that move in an eighth of a second, up to which a word holds."""
_ALWAYS, _TIMES = 0.5, 2
"""Share of a shot from which motion is not dated, and how many times are told."""
_PAUSE = 1.0
"""Seconds between two motions that count as one."""
_SLOW = 3.0
"""Factor by which half a second changes more of the picture than any eighth in it, if that is slow."""
_DISSOLVE, _AFTER = 8, 4
"""Pictures beside a border that may be a dissolve's, and those in which motion would go on."""
_SUDDEN = 2.0
"""Factor by which a cut changes more of the picture than the pictures around it."""


def name_motion(index: PixelIndex, number: int, moments: list[int]) -> str:
    """Name the motion of the shot *number*, which has the pictures *moments*; empty if unclear."""
    moved = index.signals.moved[moments]
    for column, lag in enumerate(LAGS):
        # What lies further back belongs to the shot before.
        moved[:lag, column] = 0
    shares, is_camera = moved[:, 0], bool(index.staging.moving[number])
    active = _find_motion(moved)
    _leave_out_dissolves(active, index.signals.moved[:, 0], moments)
    if active.any():
        share = float(shares[active].mean())
        times = index.signals.times[moments]
        return next(word for most, word in _DEGREES if share < most) + _tell_times(active, times)
    if is_camera:
        return _DEGREES[0][1]
    return "" if (moved >= LEAST_SHARE).any() else "no motion"


def _find_motion(moved: Floats) -> Flags:
    """Find the pictures in which something goes on moving, from the shares that *moved*."""
    changes = moved[:, 0] >= LEAST_SHARE
    active = np.zeros(len(moved), np.bool_)
    # One change alone is no motion.
    active[1:] = changes[1:] & changes[:-1]
    active[:-1] |= active[1:]
    slow: list[int] = []
    for at in np.flatnonzero(moved[:, 1] >= LEAST_SHARE).tolist():
        within = slice(at - LAGS[1] + 1, at + 1)
        if moved[at, 1] > _SLOW * float(moved[within, 0].max()):
            slow.append(at)
    for before, after in pairwise(slow):
        if after - before <= LAGS[1]:
            active[before - LAGS[1] + 1 : after + 1] = True
    return active


def _leave_out_dissolves(active: Flags, changes: Floats, moments: list[int]) -> None:
    """Clear the flags beside a border that may be a dissolve, unless the motion goes on."""
    first, end = moments[0], moments[-1] + 1
    for border, flags in ((first, active), (end, active[::-1])):
        if border in (0, len(changes)) or _is_sudden(changes, border):
            continue
        if not flags[_DISSOLVE : _DISSOLVE + _AFTER].all():
            flags[:_DISSOLVE] = False


def _is_sudden(changes: Floats, border: int) -> bool:
    """Whether the picture changes far more at *border* than around it."""
    around = np.concatenate((changes[border - 3 : border - 1], changes[border + 2 : border + 4]))
    most = float(changes[border - 1 : border + 2].max())
    return most >= _SUDDEN * float(around.max(initial=LEAST_SHARE))


def _tell_times(active: Flags, times: Floats) -> str:
    """Tell when something moved; nothing where that is most of the time."""
    spans: list[list[float]] = []
    for at in np.flatnonzero(active).tolist():
        start, end = float(times[max(0, at - 1)]), float(times[at])
        if spans and start - spans[-1][1] <= _PAUSE:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    length = sum(end - start for start, end in spans)
    if length >= _ALWAYS * float(times[-1] - times[0]):
        return ""
    if len(spans) > _TIMES:
        return " at times"
    return f" at {' and '.join(f'{start:.1f}-{end:.1f}' for start, end in spans)} s"
