"""Fit the engine's constants: the score's curve, and the mean features of videos.

Uses the groups `tuned` and `tried` only, each as the foreign film of the other, and the faces of
`engine_details` where they are at hand. Prints the curve for `search/matching.py`; its offset is lowered
by hand until no more than 0.01 of the foreign faces are answered. `--mean PATH` writes `mean.npy`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from engine_copies import originals, summary
from engine_details import FACES, cut_faces
from engine_films import picture_at, reel
from engine_queries import DISTORTIONS

from memories_async.local.engine.search import matching
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.render import render
from memories_async.local.engine.vision.indexing import index_video


def plain(picture, _):
    """Keep nothing but the mean colour."""
    return np.full_like(picture, picture.mean(axis=(0, 1)).astype(np.uint8))


def shade(picture, _):
    """Keep nothing but a gradient between two of its colours."""
    part = np.linspace(0, 1, picture.shape[0])[:, None, None]
    top, bottom = picture[:40].mean(axis=(0, 1)), picture[-40:].mean(axis=(0, 1))
    return np.broadcast_to(top + (bottom - top) * part, picture.shape).astype(np.uint8)


# Queries that nothing can be recognised by: whatever they find is wrong.
WORTHLESS = {"plain": plain, "shade": shade}
GROUPS = ("tuned", "tried")


def rows_of(film, index, *, own: bool):
    """Give the evidence of the best frame of each place, and whether it is the true one."""
    parts = (0.2, 0.55, 0.85) if own else (0.4,)
    return [
        row
        for at, (one, moment, picture) in enumerate(queries(film, parts))
        for row in answers(at, one, moment, picture, index, own=own)
    ]


def queries(film, parts):
    times = [
        (one, one.start + (one.end - one.start) * part) for one in film.stretches for part in parts
    ]
    pictures = picture_at(film.path, [moment for _, moment in times])
    return [(one, moment, picture) for (one, moment), picture in zip(times, pictures, strict=True)]


def answers(at, one, moment, picture, index, *, own: bool):
    for number, (name, distort) in enumerate({**DISTORTIONS, **WORTHLESS}.items()):
        query = distort(picture, np.random.default_rng(7_000 + at * 100 + number))
        for start, end, row in best_of_places(query, index):
            right = own and start <= moment <= end
            yield (*row, float(right and name not in WORTHLESS))


def best_of_places(query, index):
    """Give the evidence of the best sample of each place, and the seconds between which it is shown."""
    evidence = matching.compare(matching.make_query(query), index).evidence
    scores, numbers = matching.compute_score(evidence), index.place_numbers
    for place in np.unique(numbers):
        inside = np.flatnonzero(numbers == place)
        best = inside[scores[inside].argmax()]
        shots = [index.facts.shots[shot] for shot in np.unique(index.shot_numbers[inside])]
        yield shots[0].start_time, shots[-1].end_time, evidence[best].tolist()


def face_rows():
    """Give the evidence of each face in its own clip, and in those of other persons."""
    queries, indexes = cut_faces()
    return [
        (*row, float(name == other))
        for name, face in queries["face"].items()
        for other, index in indexes.items()
        if other == name or FACES[other][0] != FACES[name][0]
        for _, _, row in best_of_places(face, index)
    ]


def lookalike(folder: Path, film) -> Path:
    """Write a film of other places in the colours of *film*: what must not be taken for it."""
    other = folder / "other.mp4"
    count = len(film.stretches)
    shots = render(other, seconds=2 * count, scenes=count, seed=77)
    models = picture_at(film.path, [(one.start + one.end) / 2 for one in film.stretches])
    path = folder / "lookalike.mp4"
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, (640, 360))
    with Film.open(other) as source:
        for frame in source.frames(1000):
            at = sum(shot.end_time <= frame.time for shot in shots)
            out.write(recoloured(frame.picture, models[min(at, count - 1)]))
    out.release()
    return path


def recoloured(picture: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Give *picture* the mean and spread of *model* in each Lab channel."""
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).astype(np.float32)
    like = cv2.cvtColor(model, cv2.COLOR_BGR2LAB).astype(np.float32)
    spread = like.std(axis=(0, 1)) / np.maximum(lab.std(axis=(0, 1)), 1)
    moved = (lab - lab.mean(axis=(0, 1))) * spread + like.mean(axis=(0, 1))
    return cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)


def fit(rows: np.ndarray, *, ridge: float = 1e-5) -> np.ndarray:
    """Logistic regression by Newton steps; the last number is the offset.

    More likeness must never lower a score: weights of the first five that come out below zero are
    held at zero and the rest fitted again.
    """
    x = np.column_stack((rows[:, :-1], np.ones(len(rows))))
    y, held = rows[:, -1], np.zeros(rows.shape[1], bool)
    while True:
        w = np.zeros(rows.shape[1])
        free = ~held
        for _ in range(60):
            p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
            slope = x[:, free].T @ (y - p) - ridge * len(x) * w[free]
            curve = (x[:, free] * (p * (1 - p))[:, None]).T @ x[:, free]
            w[free] += np.linalg.solve(curve + ridge * len(x) * np.eye(free.sum()), slope)
        wrong = (w < 0) & (np.arange(len(w)) < 5)
        if not wrong.any():
            return w
        held |= wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mean", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.mean:
            write_mean(Path(folder), asked.mean)
            return
        found = [reel(Path(folder), group, seed=seed) for group in GROUPS for seed in (1, 2)]
        reels = [one for one in found if one is not None]
        indexes = [index_video(one.path) for one in reels]
        rows = [
            row
            for film, index in zip(reels, indexes, strict=True)
            for row in rows_of(film, index, own=True)
        ]
        for film, foreign in zip(reels, reversed(indexes), strict=True):
            rows += rows_of(film, foreign, own=False)
            rows += rows_of(film, index_video(lookalike(Path(folder), film)), own=False)
        # There are few of them, and they are the hardest to tell apart.
        rows += 4 * face_rows()
    table = np.array(rows)
    weights = fit(table)
    print("rows", len(table), "right", int(table[:, -1].sum()))
    print("_WEIGHTS =", tuple(round(float(value), 3) for value in weights[:-1]))
    print("_OFFSET =", round(float(weights[-1]), 3))


def write_mean(folder: Path, path: Path) -> None:
    """Average the summaries of the clips and of rendered films."""
    films = [film for group in GROUPS for film in originals(folder, group=group, rendered=8)]
    summaries = [summary(folder, frames) for frames in films]
    np.save(path, np.mean(summaries, axis=0).astype(np.float16))


if __name__ == "__main__":
    main()
