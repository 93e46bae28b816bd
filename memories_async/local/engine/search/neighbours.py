"""Compare a query's points with those of many samples in one matrix product.

Several times faster than matching samples one by one; about 0.5 ms each.
"""

from __future__ import annotations

from typing import Self

from attrs import field, frozen

from memories_async.local.engine._cv import Bytes, Flags, Floats, Numbers, np, unit
from memories_async.local.engine.vision.index import Samples, points_of
from memories_async.local.engine.vision.local_features import LEAST, RATIO, Points, agreeing

__all__ = ["Held"]


@frozen(kw_only=True)
class Held:
    """The points of some samples, side by side in equal slots."""

    samples: Numbers
    """Which samples, by their places."""
    points: tuple[Points, ...] = field(repr=False)
    descriptors: Floats = field(repr=False)
    """Samples x slots rows of length 1; empty slots are zero."""

    @classmethod
    def of(cls, samples: Samples, places: Numbers) -> Self:
        """Gather the points of the samples at *places*."""
        found = tuple(points_of(samples, int(place)) for place in places)
        slots = max(2, *(len(one) for one in found), 0)
        padded = np.zeros((len(found), slots, 128), np.float32)
        for row, one in enumerate(found):
            padded[row, : len(one)] = one.descriptors
        return cls(samples=places, points=found, descriptors=unit(padded))

    def agreeing(self, asked: Points) -> Floats:
        """Count the points of *asked* that agree in one geometry with each sample."""
        counts = np.zeros(len(self.points), np.float32)
        if len(asked) < LEAST:
            return counts
        partner, good = self._partners(asked.descriptors)
        for row, held in enumerate(self.points):
            chosen = np.flatnonzero(good[:, row])
            if len(chosen) >= LEAST:
                counts[row] = agreeing(asked.places[chosen], held.places[partner[chosen, row]])
        return counts

    def _partners(self, asked: Bytes) -> tuple[Numbers, Flags]:
        """For each query point and sample: the nearest point, and whether it stands out."""
        samples, slots, _ = self.descriptors.shape
        left = unit(asked.astype(np.float32))
        near = (left @ self.descriptors.reshape(-1, 128).T).reshape(len(left), samples, slots)
        partner = near.argmax(axis=2)
        best = np.take_along_axis(near, partner[..., None], axis=2)
        np.put_along_axis(near, partner[..., None], -1.0, axis=2)
        second = near.max(axis=2)
        # Squared distances of unit vectors are 2 - 2 cosines. An empty slot, at 0, never stands out.
        good = (1 - best[..., 0]) < RATIO**2 * (1 - second)
        return partner, good
