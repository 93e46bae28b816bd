"""Follow blobs from sample to sample: which of them are one passer-by, seen again and again."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.vision.index import PixelIndex, shot_of

__all__ = ["tracks"]

_LOST = 2
"""Samples after which a blob that is not seen again is another one."""
_STRIDE = 1.0
"""How far a blob comes from one sample to the next, in its own heights."""


@frozen(kw_only=True)
class _Sights:
    """Where and when each blob is."""

    samples: Numbers
    shots: Numbers
    middles: Floats
    talls: Floats

    def goes_on(self, last: int, at: int) -> bool:
        """Say whether the blobs *last* and *at* may be the same one, seen again."""
        later = self.samples[last] < self.samples[at] and self.shots[last] == self.shots[at]
        return bool(later) and self.apart(last, at) < _STRIDE

    def apart(self, last: int, at: int) -> float:
        """Measure the way between two blobs in heights of the second."""
        return float(np.linalg.norm(self.middles[last] - self.middles[at]) / self.talls[at])


def tracks(index: PixelIndex) -> tuple[tuple[int, ...], ...]:
    """Sort the blobs of *index* (their places) into tracks, one a passer-by."""
    sights = _sights(index)
    ended: list[list[int]] = []
    going: list[list[int]] = []
    for at, sample in enumerate(sights.samples.tolist()):
        ended += [track for track in going if sample - sights.samples[track[-1]] > _LOST]
        going = [track for track in going if sample - sights.samples[track[-1]] <= _LOST]
        near = [track for track in going if sights.goes_on(track[-1], at)]
        nearest = min(near, key=lambda track: sights.apart(track[-1], at), default=None)
        if nearest is None:
            going.append([at])
        else:
            nearest.append(at)
    return tuple(tuple(track) for track in [*ended, *going])


def _sights(index: PixelIndex) -> _Sights:
    blobs, facts = index.blobs, index.facts
    boxes, size = blobs.boxes, np.array((facts.width, facts.height), np.float32)
    return _Sights(
        samples=blobs.samples,
        shots=shot_of(index)[blobs.samples],
        middles=np.asarray((boxes[:, :2] + boxes[:, 2:] / 2) * size, np.float32),
        talls=np.asarray(boxes[:, 3] * size[1], np.float32),
    )
