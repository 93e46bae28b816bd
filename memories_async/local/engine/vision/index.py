"""What the pixel engine knows about one video: facts, samples two a second, signals eight a second."""

from __future__ import annotations

from attrs import field, frozen

from memories_async.local.engine._cv import Flags, Floats, Numbers, np
from memories_async.local.engine.protocol import Facts
from memories_async.local.engine.vision.features import Looks
from memories_async.local.engine.vision.local_features import LONGEST, Points

__all__ = [
    "NO_STAGING",
    "PixelIndex",
    "Samples",
    "Signals",
    "Staging",
    "points_of",
    "reduced_size",
    "shot_of",
]


@frozen(kw_only=True)
class Samples:
    """One row for each sampled frame."""

    times: Floats
    looks: Looks
    points: Points
    """The points of all samples, one after another."""
    starts: Numbers
    """Where each sample's points start; one number more than samples."""
    colours: Floats
    """Shares of `colours.NAMES`."""
    sharpness: Floats


@frozen(kw_only=True)
class Signals:
    """What changes from moment to moment; one row for each picture of the shot detector."""

    times: Floats
    light: Floats
    """Mean lightness, 0..100."""
    motion: Floats
    """Mean change of lightness a picture sees since the one before, 0..100."""
    peak: Floats
    """The largest such change at any place of the picture."""


@frozen(kw_only=True)
class Staging:
    """How the shots were filmed; one row for each."""

    still: Flags
    """Whether the camera stood still."""
    moving: Flags
    """Whether it moved; where the points do not tell, it did neither."""
    stays: Flags
    """Whether the shot shows the place of the one before; the first does not."""


_NONE = np.zeros(0, np.bool_)
NO_STAGING = Staging(still=_NONE, moving=_NONE, stays=_NONE)


@frozen(kw_only=True)
class PixelIndex:
    """An indexed video; about 60 kB for each second of it."""

    facts: Facts
    samples: Samples = field(repr=False)
    signals: Signals = field(repr=False)
    staging: Staging = field(repr=False)
    summary: Floats = field(repr=False)
    """The video's pooled looks, the raw material of its embedding."""


def points_of(samples: Samples, place: int) -> Points:
    """Give the points of the sample at *place*."""
    part = slice(int(samples.starts[place]), int(samples.starts[place + 1]))
    return Points(places=samples.points.places[part], descriptors=samples.points.descriptors[part])


def reduced_size(index: PixelIndex) -> tuple[float, float]:
    """Give width and height of the reduced pictures in which the points lie."""
    width, height = index.facts.width, index.facts.height
    scale = min(1.0, LONGEST / max(width, height))
    return width * scale, height * scale


def shot_of(index: PixelIndex) -> Numbers:
    """Give the number of the shot in which each sample lies."""
    starts = np.array([shot.start_time for shot in index.facts.shots])
    return np.searchsorted(starts, index.samples.times, side="right").astype(np.int64) - 1
