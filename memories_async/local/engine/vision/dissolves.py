"""Detect dissolves in small pictures, eight a second.

In a dissolve every picture is a blend of the first and the last one, by shares that rise. Each second
and a quarter is compared with this model: what the blend does not explain is its residual. Things that
move leave a large residual, also where they change the whole picture. Pictures before and after a
dissolve change less than those in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from attrs import Factory, define

from memories_async.local.engine._cv import Floats, Picture, cv2, np

__all__ = ["Blends", "find_dissolves"]

_SIZE = (16, 9)
_STEPS = 10
"""Steps from the first to the last picture of a window: 1.25 s."""
_CHANGE, _RESIDUAL, _LARGEST, _LIKENESS, _SHARE, _MIDDLE, _FLAT = range(7)
"""Columns of a row; see `Blends.rows`."""
_LEAST = 22.0
"""Root mean square by which the last picture differs from the first, of 255."""
_MOST_RESIDUAL = 0.33
"""Part of that difference which the blend does not explain."""
_PURE = 0.1
"""Share up to which a picture is the first one; only those between the two are measured."""
_CALM, _UNREST = 0.8, 0.2
"""Changes around the window above `_CALM` of its own count as residual, by `_UNREST`."""
_SUDDEN = 0.5
"""Rise of the share from one picture to the next that is a cut."""
_ALIKE = 0.75
"""Correlation of first and last picture from which they show one scene in another light."""
_WHOLE, _CHANGED, _DARK = 0.85, 8.0, 24.0
"""Share of the picture that changes, by at least `_CHANGED`; rows and columns that stay under `_DARK`
are borders and do not count."""
_FEWEST = 2
"""Windows that have to look like a dissolve: one alone is a thing that leaves while the light changes."""
_EVEN = 5.0
"""Spread of lightness under which a picture is flat, such as the black before a fade."""


@define
class Blends:
    """Measures how well a blend explains each window of pictures; holds eleven small pictures."""

    rows: list[tuple[float, ...]] = Factory(list[tuple[float, ...]])
    """For the window that each picture ends: its change, the residual, the largest rise, the
    correlation of its ends, the share of the picture that changes, the steps from its middle to its
    end, and 1 where its first picture is flat."""
    _window: deque[Floats] = Factory(lambda: deque(maxlen=_STEPS + 1))

    def add(self, picture: Picture) -> None:
        """Add the next picture."""
        small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA)
        self._window.append(np.asarray(small, np.float32))
        self.rows.append(_measure_window(np.stack(self._window)))


def find_dissolves(blends: Floats, cuts: Collection[int]) -> list[int]:
    """Find the rows at which dissolves pass their middle; none in a window that holds a cut."""
    runs: list[list[int]] = []
    for place in range(_STEPS, len(blends)):
        if not _is_dissolve(blends, place):
            continue
        if any(place - _STEPS < cut <= place for cut in cuts):
            continue
        if runs and place - runs[-1][-1] < _STEPS:
            runs[-1].append(place)
        else:
            runs.append([place])
    # Each window of a long dissolve has a middle of its own.
    return [
        int(np.median([end - blends[end, _MIDDLE] for end in run]))
        for run in runs
        if len(run) >= _FEWEST
    ]


def _is_dissolve(blends: Floats, place: int) -> bool:
    """Whether the window that *place* ends is a dissolve."""
    row = blends[place]
    # Fast, as most windows fail here. A fade from black begins no shot: the fade to black did.
    if (
        row[_CHANGE] < _LEAST
        or row[_RESIDUAL] > _MOST_RESIDUAL
        or row[_LARGEST] > _SUDDEN
        or row[_LIKENESS] > _ALIKE
        or row[_SHARE] < _WHOLE
        or row[_FLAT]
    ):
        return False
    sides = [at for at in (place - _STEPS, place + _STEPS) if _STEPS <= at < len(blends)]
    # Beyond the film's ends, it counts as going on as on the other side.
    around = 2 * float(blends[sides, _CHANGE].mean()) / float(row[_CHANGE]) if sides else 0.0
    return bool(row[_RESIDUAL] + _UNREST * max(0.0, around - _CALM) <= _MOST_RESIDUAL)


def _measure_window(window: Floats) -> tuple[float, ...]:
    """Measure one window, or the pictures that there are at a film's beginning."""
    first, last = window[0], window[-1]
    pixels = window.reshape(len(window), -1)
    way = pixels[-1] - pixels[0]
    square = float(way @ way)
    change = (square / way.size) ** 0.5
    if len(window) <= _STEPS or change < _LEAST:
        return (change, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    moved = pixels - pixels[0]
    shares = moved @ way / square
    left = np.sqrt(((moved - np.outer(shares, way)) ** 2).sum(axis=1) / square)
    is_between = (shares > _PURE) & (shares < 1 - _PURE)
    gap = np.abs(last - first).max(axis=-1)
    lit = np.maximum(first, last).max(axis=-1) > _DARK
    inside = gap[lit.any(axis=1)][:, lit.any(axis=0)]
    return (
        change,
        float(left[is_between].mean()) if is_between.any() else 1.0,
        float(np.diff(shares).max()),
        _correlate(pixels[0], pixels[-1]),
        float((inside > _CHANGED).mean()),
        float(_STEPS - int(np.argmax(shares >= 0.5))),  # noqa: PLR2004 # half
        float(first.mean(axis=-1).std() < _EVEN),
    )


def _correlate(left: Floats, right: Floats) -> float:
    """Return the correlation of two pictures; 0 where one of them is even."""
    left, right = left - left.mean(), right - right.mean()
    size = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / size if size else 0.0
