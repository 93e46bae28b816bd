"""What a model sees of a video, moment by moment; made in a worker's process, kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import field, frozen

from memories_async.local.engine import archive
from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.frames import Film
from memories_async.local.engine.processes.isolated import run_apart
from memories_async.local.engine.towers import ImageTower

__all__ = ["Sight", "sight", "watch"]


@frozen(kw_only=True)
class Sight:
    """Vectors of length 1, one a row, and the seconds at which their frames are shown."""

    times: Floats = field(repr=False)
    vectors: Floats = field(repr=False)


def sight(
    video: Path, folder: Path | None, *, tower: ImageTower, rate: float, seconds: float
) -> Sight:
    """Give what *tower* sees of *video*, *rate* times a second, from *folder* if it is there.

    Otherwise it looks, in a process of its own and for at most *seconds*. Raises `UnreadableVideo`.
    """

    def build(result: Path) -> None:
        run_apart("watch", video, result, f"{rate!r} {tower.as_json()}", seconds=seconds)

    made_by = f"seen-{tower.fingerprint[:24]}-{rate:.6g}"
    return archive.kept(
        video, folder, engine=made_by, load=lambda path: archive.read(path, _sight), build=build
    )


def watch(video: Path, result: Path, settings: str) -> None:
    """Put the frames of *video* through the model of *settings*; the task of the worker."""
    rate, told = settings.split(" ", maxsplit=1)
    tower = ImageTower.from_json(told)
    with Film.open(video) as film:
        seen = [(frame.time, tower.vector(frame.picture)) for frame in film.frames(float(rate))]
    times, vectors = zip(*seen, strict=True)
    archive.write(result, {"times": np.array(times, np.float32), "vectors": np.stack(vectors)})


def _sight(found: dict[str, Any]) -> Sight:
    times, vectors = found["times"], found["vectors"]
    if not len(times) or vectors.shape != (len(times), vectors.size // len(times)):
        raise ValueError("not what `watch` writes")
    return Sight(times=times, vectors=vectors)
