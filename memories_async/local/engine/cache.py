"""Indexes kept on disk, by the hash of the video's content and the engine's name.

Plain numpy archives, never pickles, so that a foreign file in the folder can do no harm. Written
beside and moved into place, so that a reader never sees half of one; whatever cannot be read is
built anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import attrs

from memories_async.local.engine._cv import np
from memories_async.local.engine.features import Looks
from memories_async.local.engine.index import PixelIndex, Samples, Track
from memories_async.local.engine.local_features import Points
from memories_async.local.engine.protocol import Facts, Shot

__all__ = ["content_hash", "load", "place", "save"]


def content_hash(path: Path) -> str:
    """Hash the file at *path*."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place(folder: Path, *, content: str, engine: str) -> Path:
    """Say where the index of *content* by *engine* lies in *folder*."""
    return folder / f"{content[:40]}-{engine.replace('/', '-')}.npz"


def save(index: PixelIndex, path: Path) -> None:
    """Write *index* to *path* at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            np.savez(file, **_arrays(index))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path) -> PixelIndex | None:
    """Read the index at *path*; None where there is none that can be read."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as found,
    ):
        return _index({name: found[name] for name in found.files})
    return None


def _arrays(index: PixelIndex) -> dict[str, Any]:
    samples, track = index.samples, index.track
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
        **{f"track_{name}": rows for name, rows in attrs.asdict(track).items()},
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
        track=Track(**_part("track_", found)),
        summary=found["summary"],
    )


def _part(prefix: str, found: dict[str, Any]) -> dict[str, Any]:
    return {name[len(prefix) :]: rows for name, rows in found.items() if name.startswith(prefix)}
