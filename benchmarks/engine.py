"""How good and how fast is the embedded engine? One JSON line a measure; `--quick` in CI.

Queries are frames of films with known shots, off the sample grid, distorted in thirteen ways; a
search hits when its clip holds the query's time. Recall ranks clips whatever their scores; `true
kept` is the share of queries whose right clip the engine really answers, at its own threshold.
Groups as in `engine_films`: nothing was tuned on `fresh` and `wild` (README: one repair).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import attrs
import cv2
import numpy as np
from engine_copies import COPIES, originals, vector
from engine_details import report_details
from engine_films import VIDEOS, Reel, Stretch, edits, picture_at, reel
from engine_films import clips as clips_of
from engine_queries import DISTORTIONS, search
from engine_shots import report_borders
from engine_wild import WILD

from memories_async.local.engine.search.ranking import KEEP
from memories_async.local.engine.vision.index import PixelIndex
from memories_async.local.engine.vision.indexing import index_video

MACHINE = {"cores": os.cpu_count(), "opencv": cv2.__version__, "python": platform.python_version()}


def tell(measure: str, value: object, **more: object) -> None:
    """Print one measure."""
    rounded = round(value, 4) if isinstance(value, float) else value
    print(json.dumps({"measure": measure, "value": rounded, **more}), flush=True)


@attrs.frozen(kw_only=True)
class Asked:
    """One query, and what its own and a foreign film answered."""

    distortion: str
    real: bool
    cut_inside: bool
    top: float
    foreign: float | None
    hit: bool
    hit5: bool
    overlap: float
    kept: bool
    answers: tuple[tuple[float, bool], ...]
    seconds: float


def ask(film: Reel, index: PixelIndex, foreign: PixelIndex, *, parts: tuple[float, ...]):
    """Ask for each stretch of *film* in each distortion."""
    times = [(one.start + (one.end - one.start) * p, one) for one in film.stretches for p in parts]
    pictures = picture_at(film.path, [moment for moment, _ in times])
    for at, ((moment, true), picture) in enumerate(zip(times, pictures, strict=True)):
        for number, (name, distort) in enumerate(DISTORTIONS.items()):
            query = distort(picture, np.random.default_rng(at * 100 + number))
            started = time.perf_counter()
            top, best, found = search(query, index)
            seconds = time.perf_counter() - started
            holds = [one.start_time <= moment <= one.end_time for one in found]
            answers = [(one.score, held) for one, held in zip(found, holds, strict=True)]
            other = None
            if (at + number) % 2 == 0:
                other, _, wrong = search(query, foreign)
                answers += [(one.score, False) for one in wrong]
            yield Asked(
                distortion=name,
                real=true.real,
                cut_inside=true.cut_inside,
                top=top,
                foreign=other,
                hit=best[0].start_time <= moment <= best[0].end_time,
                hit5=any(one.start_time <= moment <= one.end_time for one in best),
                overlap=true.overlap(best[0].start_time, best[0].end_time),
                kept=any(holds),
                answers=tuple(answers),
                seconds=seconds,
            )


# Seconds in which each of six persons stands at the table, by eye; a moment well inside each.
STAYS = {
    10: (6.5, 19),
    30: (23, 43.5),
    60: (51, 69),
    80: (75, 86.5),
    105: (92, 119),
    130: (123, 136),
}


def report_persons() -> None:
    """Ask for a person cut out of a fixed camera's film; right is when that person is there."""
    path = VIDEOS / "one-by-one-person-detection.mp4"
    if not path.exists():
        return
    index = index_video(path)
    for what, cut in (("person", _person), ("moment", lambda picture: picture)):
        overlaps, answers = [], 0
        for picture, stay in zip(picture_at(path, list(STAYS)), STAYS.values(), strict=True):
            part = cut(picture)
            for query in (part, cv2.flip(part, 1), cv2.convertScaleAbs(part, alpha=1.2, beta=15)):
                _, _, found = search(query, index)
                true = Stretch(start=stay[0], end=stay[1], real=True, cut_inside=False)
                overlaps.append(
                    true.overlap(found[0].start_time, found[0].end_time) if found else 0
                )
                answers += len(found)
        tell(f"{what} under a fixed camera, IoU", float(np.mean(overlaps)), group="tuned")
        tell(f"{what} under a fixed camera, worst IoU", float(min(overlaps)), group="tuned")
        tell(f"{what} under a fixed camera, answers a query", answers / 18, group="tuned")


def _person(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.ascontiguousarray(
        picture[: int(height * 0.95), int(width * 0.48) : int(width * 0.72)]
    )


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    wins = (right[:, None] > wrong[None]).mean() + (right[:, None] == wrong[None]).mean() / 2
    return float(wins)


def calibration(answers: np.ndarray) -> float:
    """Mean distance between score and share of right answers over ten bins."""
    bins = np.minimum((answers[:, 0] * 10).astype(int), 9)
    gaps = [
        abs(answers[bins == at, 0].mean() - answers[bins == at, 1].mean()) * (bins == at).sum()
        for at in np.unique(bins)
    ]
    return float(sum(gaps) / len(answers))


def report_search(
    group: str, films: list[tuple[Reel, PixelIndex]], foreign: PixelIndex, *, quick: bool
) -> None:
    parts = (0.37,) if quick else (0.37, 0.71)
    rows = [row for film, index in films for row in ask(film, index, foreign, parts=parts)]
    for real in (None, True, False):
        some = [row for row in rows if real in (None, row.real)]
        what = {None: "all", True: "real", False: "rendered"}[real]
        if some:
            tell(
                "search recall@1",
                float(np.mean([row.hit for row in some])),
                group=group,
                footage=what,
                queries=len(some),
            )
    tell("search recall@5", float(np.mean([row.hit5 for row in rows])), group=group)
    for measure, field in (("search recall@1", "hit"), ("true kept", "kept")):
        by = {
            name: round(
                float(np.mean([getattr(row, field) for row in rows if row.distortion == name])), 3
            )
            for name in DISTORTIONS
        }
        tell(f"{measure} by distortion", by, group=group)
    for inside in (False, True):
        some = [row.overlap for row in rows if row.cut_inside is inside and row.hit]
        if some:
            tell("search IoU", float(np.mean(some)), group=group, cut_inside=inside)
    wrong = np.array([row.foreign for row in rows if row.foreign is not None])
    tell("search AUC", auc(np.array([row.top for row in rows]), wrong), group=group)
    tell("foreign kept", float((wrong >= KEEP).mean()), group=group, score=KEEP)
    tell("true kept", float(np.mean([row.kept for row in rows])), group=group, score=KEEP)
    answers = np.array([answer for row in rows for answer in row.answers])
    tell("calibration error", calibration(answers), group=group, answers=len(answers))
    milliseconds = float(np.median([row.seconds for row in rows]) * 1000)
    tell("cached search ms", milliseconds, group=group, **MACHINE)


def report_shots(group: str, films: list[tuple[Reel, PixelIndex]]) -> None:
    right = found = true = 0
    for film, index in films:
        cuts = [shot.start_time for shot in index.facts.shots[1:]]
        free = list(cuts)
        for cut in film.cuts:
            near = [one for one in free if abs(one - cut) <= 0.5]
            if near:
                free.remove(min(near, key=lambda one: abs(one - cut)))
                right += 1
        found += len(cuts)
        true += len(film.cuts)
    tell("shots F1", 2 * right / (found + true), group=group, cuts=true, found=found)


def measure_embedding(folder: Path, *, quick: bool) -> None:
    """Look each copy up among all originals; a stranger is every other original."""
    for group in ("tuned",) if quick else ("tuned", "fresh", "tried", "wild"):
        few = 1 if clips_of(group) else 3
        films = originals(folder, group=group, rendered=few if quick else 12)
        films = films[-2:] if quick else films
        if not films:
            continue
        known = np.array([vector(folder, film) for film in films])
        likeness = {
            name: np.array([known @ vector(folder, copy(film)) for film in films])
            for name, copy in COPIES.items()
        }
        report_embedding(group, known, likeness)


def report_embedding(group: str, known: np.ndarray, likeness: dict[str, np.ndarray]) -> None:
    own = np.eye(len(known), dtype=bool)
    right = {
        name: float((rows.argmax(axis=1) == np.arange(len(known))).mean())
        for name, rows in likeness.items()
    }
    copies = np.concatenate([rows[own] for rows in likeness.values()])
    strangers = np.concatenate([rows[~own] for rows in likeness.values()])
    apart = (known @ known.T)[~own]
    more = {"group": group, "videos": len(known), "copies": len(copies)}
    tell("embedding recall@1, mean", float(np.mean(list(right.values()))), **more)
    tell(
        "embedding recall@1 by copy",
        {name: round(value, 3) for name, value in right.items()},
        **more,
    )
    tell("embedding AUC", auc(copies, strangers), **more)
    tell("copies, 5th percentile", float(np.percentile(copies, 5)), **more)
    tell("unrelated, 99th percentile", float(np.percentile(apart, 99)), **more)


def report_speed(*, quick: bool) -> None:
    for path in sorted(VIDEOS.glob("*.mp4"))[: 2 if quick else None]:
        started = time.perf_counter()
        index = index_video(path)
        seconds = time.perf_counter() - started
        size = f"{index.facts.width}x{index.facts.height}"
        speed = index.facts.duration / seconds
        tell("index speed, x real time", speed, file=path.name, size=size, **MACHINE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer films, under a minute")
    parser.add_argument("--only", choices=("search", "details", "shots", "embedding", "speed"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.only in (None, "search"):
            measure_search(Path(folder), quick=asked.quick)
            if not asked.quick:
                report_persons()
        if asked.only in (None, "details"):
            report_details(Path(folder), tell, quick=asked.quick)
        if asked.only in (None, "shots"):
            report_borders(Path(folder), tell, quick=asked.quick)
        if asked.only in (None, "embedding"):
            measure_embedding(Path(folder), quick=asked.quick)
    if asked.only in (None, "speed"):
        report_speed(quick=asked.quick)


def reels(folder: Path, group: str, *, quick: bool) -> list[Reel]:
    if quick:
        found = [reel(folder, group, seed=1, scenes=4)]
    else:
        found = [reel(folder, group, seed=seed) for seed in (1, 2)]
    return [one for one in found if one is not None]


def measure_search(folder: Path, *, quick: bool) -> None:
    """Ask each group of itself; what is foreign comes from its opposite."""
    for pair in (("tuned", "fresh"),) if quick else (("tuned", "fresh"), ("tried", "wild")):
        films = {
            group: [(film, index_video(film.path)) for film in reels(folder, group, quick=quick)]
            for group in pair
        }
        for group, other in zip(pair, reversed(pair), strict=True):
            if not films[group]:
                continue
            foreign = films[other][0][1]
            if group not in WILD:
                report_shots(group, films[group])
            report_search(group, films[group], foreign, quick=quick)
            if not quick:
                edited = [edits(folder, film, seed=at) for at, (film, _) in enumerate(films[group])]
                again = [(film, index_video(film.path)) for film in edited]
                report_search(f"{group}, edited", again, foreign, quick=quick)


if __name__ == "__main__":
    main()
