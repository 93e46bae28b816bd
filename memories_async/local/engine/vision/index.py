"""The index of one video: facts, samples two a second, signals eight a second; and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from memories_async.local.engine import npz
from memories_async.local.engine._cv import Flags, Floats, Numbers, np
from memories_async.local.engine.protocol import Facts, Shot
from memories_async.local.engine.vision.features import Looks
from memories_async.local.engine.vision.local_features import LONGEST, Points

__all__ = [
    "NO_STAGING",
    "PixelIndex",
    "Samples",
    "Signals",
    "Staging",
    "load",
    "save",
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
    """Shares of `colour_names.NAMES`."""
    sharpness: Floats

    def get_points(self, number: int, *, most: int | None = None) -> Points:
        """Return the points of the sample *number*, the strongest first; at most so many."""
        first, end = int(self.starts[number]), int(self.starts[number + 1])
        part = slice(first, end if most is None else min(end, first + most))
        return Points(places=self.points.places[part], descriptors=self.points.descriptors[part])


@frozen(kw_only=True)
class Signals:
    """What changes over time; one row for each picture of the shot detector."""

    times: Floats
    light: Floats
    """Mean lightness, 0..100."""
    motion: Floats
    """Mean change of lightness since the picture before, 0..100."""
    moved: Floats
    """Shares of the picture that moved since each of `motion.LAGS` before; 0 where not compared."""


@frozen(kw_only=True)
class Staging:
    """How the shots were filmed; one row for each."""

    still: Flags
    """Whether the camera stood still from beginning to end."""
    moving: Flags
    """Whether it moved most of the time; neither flag is set where the picture does not tell."""
    steady: Flags
    """Whether each sample is framed like the one before, as in a pan too slow to see."""
    stays: Flags
    """Whether the shot shows the same place as the one before; False for the first."""


_NONE = np.zeros(0, np.bool_)
NO_STAGING = Staging(still=_NONE, moving=_NONE, steady=_NONE, stays=_NONE)


@frozen(kw_only=True)
class PixelIndex:
    """An indexed video; about 115 kB for each second of it."""

    facts: Facts
    samples: Samples = field(repr=False)
    signals: Signals = field(repr=False)
    staging: Staging = field(repr=False)
    summary: Floats = field(repr=False)
    """The video's pooled features, from which its embedding is projected."""

    @property
    def picture_size(self) -> tuple[float, float]:
        """Width and height of the reduced pictures in which the points lie."""
        width, height = self.facts.width, self.facts.height
        scale = min(1.0, LONGEST / max(width, height))
        return width * scale, height * scale

    @property
    def shot_numbers(self) -> Numbers:
        """The number of the shot in which each sample lies."""
        starts = np.array([shot.start_time for shot in self.facts.shots])
        return np.searchsorted(starts, self.samples.times, side="right").astype(np.int64) - 1

    @property
    def place_numbers(self) -> Numbers:
        """The number of the place that each sample shows: shots without a cut to elsewhere."""
        return np.cumsum(~self.staging.stays, dtype=np.int64)[self.shot_numbers]


def save(index: PixelIndex, path: Path) -> None:
    """Write *index* to *path*, atomically."""
    npz.write(path, _to_arrays(index))


def load(path: Path) -> PixelIndex | None:
    """Read the index at *path*; None where it is missing or damaged."""
    return npz.read(path, _from_arrays)


def _to_arrays(index: PixelIndex) -> dict[str, Any]:
    samples, signals = index.samples, index.signals
    return {
        "facts": np.frombuffer(json.dumps(asdict(index.facts)).encode(), np.uint8),
        "summary": index.summary,
        "times": samples.times,
        "places": samples.points.places,
        "descriptors": samples.points.descriptors,
        "starts": samples.starts,
        "colours": samples.colours,
        "sharpness": samples.sharpness,
        **{f"looks_{name}": rows for name, rows in asdict(samples.looks).items()},
        **{f"signals_{name}": rows for name, rows in asdict(signals).items()},
        **{f"staging_{name}": rows for name, rows in asdict(index.staging).items()},
    }


def _from_arrays(arrays: dict[str, Any]) -> PixelIndex:
    facts = json.loads(arrays["facts"].tobytes())
    shots = tuple(Shot(**shot) for shot in facts.pop("shots"))
    return PixelIndex(
        facts=Facts(shots=shots, **facts),
        samples=Samples(
            times=arrays["times"],
            looks=Looks(**_select("looks_", arrays)),
            points=Points(places=arrays["places"], descriptors=arrays["descriptors"]),
            starts=arrays["starts"],
            colours=arrays["colours"],
            sharpness=arrays["sharpness"],
        ),
        signals=Signals(**_select("signals_", arrays)),
        staging=Staging(**_select("staging_", arrays)),
        summary=arrays["summary"],
    )


def _select(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {name[len(prefix) :]: rows for name, rows in arrays.items() if name.startswith(prefix)}
