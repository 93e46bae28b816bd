"""Are cuts and dissolves found? `engine.py --only shots` counts; PySceneDetect's detectors beside it.

Each film is two clips of four seconds that share nothing, cut or dissolved into each other, at a size
of 160 x 90. A border is found within half a second of its middle. `extra` counts all other borders, also
those inside the clips, of which some are true. PySceneDetect is measured where `scenedetect` can be
imported: it is no dependency, as it brings an OpenCV of its own (`pip install --no-deps scenedetect`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from engine_films import KINDS, RATE, clips, stretch

from memories_async.local.engine.video.render import render
from memories_async.local.engine.vision.shots import RATE as SAMPLED
from memories_async.local.engine.vision.shots import Changes, detect_shots, reduce_to_lab

Detector = Callable[[np.ndarray], list[float]]
LENGTH = 98
"""Frames of a clip."""
SECONDS = {"cut": 0.0, "half a second": 0.5, "one second": 1.0, "two seconds": 2.0}
NEAR = 0.5


def load(folder: Path, group: str) -> list[tuple[str, np.ndarray]]:
    """Read the clips of *group* without a cut inside, and as many rendered places."""
    found = [
        (path.name, _shrink(stretch(path, start, LENGTH / RATE)))
        for path, start, length, has_cut in clips(group)
        if not has_cut and length * RATE >= LENGTH
    ]
    if group in KINDS:
        base = folder / f"{group}-shots.mp4"
        seed = 1005 if group == "fresh" else 5
        for at, shot in enumerate(
            render(base, seconds=48, scenes=9, seed=seed, kinds=KINDS[group])
        ):
            frames = stretch(base, shot.start_time + 0.05, LENGTH / RATE)
            found.append((f"rendered {at}", _shrink(frames)))
    return [(name, frames) for name, frames in found if len(frames) == LENGTH]


def _shrink(frames: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([cv2.resize(one, (160, 90), interpolation=cv2.INTER_AREA) for one in frames])


def join(left: np.ndarray, right: np.ndarray, seconds: float) -> tuple[np.ndarray, float]:
    """Join two clips by a cut, or a dissolve of *seconds*; return the film and where it changes."""
    count = round(seconds * RATE)
    if not count:
        return np.concatenate([left, right]), len(left) / RATE
    blend = [
        cv2.addWeighted(one, 1 - share, other, share, 0)
        for one, other, share in zip(
            left[-count:], right[:count], (np.arange(count) + 1) / (count + 1), strict=True
        )
    ]
    return np.concatenate([left[:-count], blend, right[count:]]), (len(left) - count / 2) / RATE


def choose_pairs(
    known: list[tuple[str, np.ndarray]], count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Choose pairs of clips out of different files."""
    random = np.random.default_rng(seed)
    while count:
        one, other = random.integers(len(known), size=2)
        if known[one][0] != known[other][0]:
            count -= 1
            yield known[one][1], known[other][1]


def detect(film: np.ndarray) -> list[float]:
    """Return the borders that the engine finds."""
    times = np.arange(len(film)) / RATE
    due = np.unique(np.searchsorted(times, np.arange(0, times[-1], 1 / SAMPLED) - 0.001))
    changes = Changes()
    for at in due:
        changes.add(film[at], reduce_to_lab(film[at]))
    found = detect_shots(np.asarray(times[due], np.float32), changes, end=len(film) / RATE)
    return [shot.start_time for shot in found[1:]]


def list_detectors() -> dict[str, Detector]:
    """List the engine's detector, and those of PySceneDetect where it is installed."""
    found: dict[str, Detector] = {"memories_async": detect}
    try:
        from scenedetect import detectors
        from scenedetect.common import FrameTimecode
    except ImportError:
        return found

    def wrap(make) -> Detector:
        def run(film: np.ndarray) -> list[float]:
            detector, cuts = make(), []
            for at, frame in enumerate(film):
                cuts += detector.process_frame(FrameTimecode(at, float(RATE)), frame)
            cuts += detector.post_process(FrameTimecode(len(film) - 1, float(RATE)))
            return sorted({cut.seconds for cut in cuts})

        return run

    for name in ("AdaptiveDetector", "ContentDetector", "HistogramDetector", "HashDetector"):
        found[f"PySceneDetect {name}"] = wrap(getattr(detectors, name))
    return found


def count_borders(detector: Detector, pairs, seconds: float) -> dict[str, float | int]:
    """Join each pair, and count what *detector* finds."""
    hits = extra = 0
    for left, right in pairs:
        film, middle = join(left, right, seconds)
        borders = detector(film)
        is_found = any(abs(border - middle) <= max(NEAR, seconds / 2) for border in borders)
        hits += is_found
        extra += len(borders) - is_found
    return {"found": round(hits / len(pairs), 3), "films": len(pairs), "extra": extra}


def report_borders(folder: Path, tell, *, quick: bool) -> None:
    """Print what each detector finds of cuts and dissolves in each group."""
    for group in ("tuned",) if quick else ("tuned", "fresh", "tried", "wild"):
        known = load(folder, group)
        if not known:
            continue
        pairs = list(choose_pairs(known, 2 if quick else 60, seed=1))
        for name, detector in list_detectors().items():
            for what, seconds in SECONDS.items():
                counts = count_borders(detector, pairs, seconds)
                tell(f"borders: {what}", counts.pop("found"), group=group, detector=name, **counts)
