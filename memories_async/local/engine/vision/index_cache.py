"""A pixel index as arrays and back, so that it can be kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from memories_async.local.engine._cv import np
from memories_async.local.engine.protocol import Facts, Shot
from memories_async.local.engine.vision import npz
from memories_async.local.engine.vision.features import Looks
from memories_async.local.engine.vision.index import PixelIndex, Samples, Signals, Staging
from memories_async.local.engine.vision.local_features import Points

__all__ = ["load", "save"]


def save(index: PixelIndex, path: Path) -> None:
    """Write *index* to *path* at once."""
    npz.write(path, _arrays(index))


def load(path: Path) -> PixelIndex | None:
    """Read the index at *path*; None where there is none that can be read."""
    return npz.read(path, _index)


def _arrays(index: PixelIndex) -> dict[str, Any]:
    samples, signals = index.samples, index.signals
    return {
        "facts": np.frombuffer(json.dumps(attrs.asdict(index.facts)).encode(), np.uint8),
        "summary": index.summary,
        "times": samples.times,
        "places": samples.points.places,
        "descriptors": samples.points.descriptors,
        "starts": samples.starts,
        "colours": samples.colours,
        "sharpness": samples.sharpness,
        **{f"looks_{name}": rows for name, rows in attrs.asdict(samples.looks).items()},
        **{f"signals_{name}": rows for name, rows in attrs.asdict(signals).items()},
        **{f"staging_{name}": rows for name, rows in attrs.asdict(index.staging).items()},
    }


def _index(found: dict[str, Any]) -> PixelIndex:
    facts = json.loads(found["facts"].tobytes())
    shots = tuple(Shot(**shot) for shot in facts.pop("shots"))
    return PixelIndex(
        facts=Facts(shots=shots, **facts),
        samples=Samples(
            times=found["times"],
            looks=Looks(**_part("looks_", found)),
            points=Points(places=found["places"], descriptors=found["descriptors"]),
            starts=found["starts"],
            colours=found["colours"],
            sharpness=found["sharpness"],
        ),
        signals=Signals(**_part("signals_", found)),
        staging=Staging(**_part("staging_", found)),
        summary=found["summary"],
    )


def _part(prefix: str, found: dict[str, Any]) -> dict[str, Any]:
    return {name[len(prefix) :]: rows for name, rows in found.items() if name.startswith(prefix)}
