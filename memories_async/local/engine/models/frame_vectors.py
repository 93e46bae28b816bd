"""Vectors that a model gives for the frames of a video; made in a worker's process, kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import field, frozen

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.content_cache import kept
from memories_async.local.engine.models.towers import ImageTower
from memories_async.local.engine.processes.one_shot import run_apart
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.vision import npz

__all__ = ["FrameVectors", "embed_frames", "frame_vectors"]


@frozen(kw_only=True)
class FrameVectors:
    """Vectors of length 1, one a row, and the seconds at which their frames are shown."""

    times: Floats = field(repr=False)
    vectors: Floats = field(repr=False)


def frame_vectors(
    video: Path, folder: Path | None, *, tower: ImageTower, rate: float, seconds: float
) -> FrameVectors:
    """Give the vectors of *tower* for *video*, *rate* a second, from *folder* if they are there.

    Otherwise it is decoded, in a process of its own and for at most *seconds*. Raises `UnreadableVideo`.
    """

    def build(result: Path) -> None:
        run_apart("embed", video, result, f"{rate!r} {tower.as_json()}", seconds=seconds)

    made_by = f"vectors-{tower.fingerprint[:24]}-{rate:.6g}"
    return kept(
        video,
        folder,
        engine=made_by,
        load=lambda path: npz.read(path, _frame_vectors),
        build=build,
    )


def embed_frames(video: Path, result: Path, settings: str) -> None:
    """Put the frames of *video* through the model of *settings*; the task of the worker."""
    rate, told = settings.split(" ", maxsplit=1)
    tower = ImageTower.from_json(told)
    with Film.open(video) as film:
        frames = [(frame.time, tower.vector(frame.picture)) for frame in film.frames(float(rate))]
    times, vectors = zip(*frames, strict=True)
    npz.write(result, {"times": np.array(times, np.float32), "vectors": np.stack(vectors)})


def _frame_vectors(found: dict[str, Any]) -> FrameVectors:
    times, vectors = found["times"], found["vectors"]
    if not len(times) or vectors.shape != (len(times), vectors.size // len(times)):
        raise ValueError("not what `embed_frames` writes")
    return FrameVectors(times=times, vectors=vectors)
