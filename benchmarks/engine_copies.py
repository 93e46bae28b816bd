"""Thirteen ways to copy a video, really encoded again, for the embedding measures of `engine.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from engine_films import KINDS, RATE, clips, stretch

from memories_async.local.engine._cv import shrink
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.render import render
from memories_async.local.engine.vision.embedding import embed, summarise

LENGTH = 6.0


def originals(folder: Path, *, group: str, rendered: int) -> list[list[np.ndarray]]:
    """Give the frames of short videos of *group*: real stretches, then rendered films."""
    films = [list(stretch(path, start, length)) for path, start, length, _ in firsts(group)]
    for seed in range(rendered if group in KINDS else 0):
        path = folder / f"{group}-{seed}.mp4"
        number = seed + (3000 if group == "fresh" else 2000)
        render(path, seconds=LENGTH, scenes=2, seed=number, kinds=KINDS[group])
        films.append(list(stretch(path, 0.0, LENGTH)))
    return films


def firsts(group: str) -> list[tuple[Path, float, float, bool]]:
    """Give the first clip of each file: two of one film would not be strangers."""
    found: dict[Path, tuple[Path, float, float, bool]] = {}
    for clip in clips(group):
        found.setdefault(clip[0], clip)
    return list(found.values())


def vector(folder: Path, frames: list[np.ndarray], *, dimensions: int = 1024) -> np.ndarray:
    """Encode *frames* and embed the file as the engine does, without its costlier parts."""
    return np.array(embed(summary(folder, frames), dimensions))


def summary(folder: Path, frames: list[np.ndarray]) -> np.ndarray:
    """Encode *frames*, decode the file, and pool what its pictures look like."""
    path = folder / "copy.mp4"
    height, width = frames[0].shape[:2]
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (width, height))
    for frame in frames:
        film.write(frame)
    film.release()
    with Film.open(path) as source:
        small = [
            cv2.resize(shrink(frame.picture, 360), (96, 54), interpolation=cv2.INTER_AREA)
            for frame in source.frames(2)
        ]
    return summarise(small)


def _each(change: Callable) -> Callable:
    return lambda frames: [np.ascontiguousarray(change(frame)) for frame in frames]


def _logo(frame):
    frame = frame.copy()
    height, width = frame.shape[:2]
    cv2.putText(frame, "SAMPLE", (width // 4, height // 2), 0, 2.2, (255, 255, 255), 4)
    cv2.rectangle(frame, (width - 110, 14), (width - 14, 60), (0, 200, 255), -1)
    return frame


def _bars(frame):
    return cv2.copyMakeBorder(frame, 46, 46, 0, 0, cv2.BORDER_CONSTANT)


def _crop(frame):
    return frame[34:326, 58:582]


def _grey(frame):
    return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def _small(frame):
    return cv2.resize(frame, (256, 144), interpolation=cv2.INTER_AREA)


def _bright(frame):
    return cv2.convertScaleAbs(frame, alpha=1.2, beta=18)


def _rough(frame):
    packed = cv2.imencode(".jpg", frame, (cv2.IMWRITE_JPEG_QUALITY, 20))[1]
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)


COPIES: dict[str, Callable] = {
    "re-encode": _each(_rough),
    "size 0.4": _each(_small),
    "first 60%": lambda frames: frames[: len(frames) * 6 // 10],
    "middle half": lambda frames: frames[len(frames) // 4 : len(frames) * 3 // 4],
    "watermark": _each(_logo),
    "speed 1.5": lambda frames: [frames[int(at * 1.5)] for at in range(int(len(frames) / 1.5))],
    "speed 0.7": lambda frames: [frames[int(at * 0.7)] for at in range(int(len(frames) / 0.7))],
    "letterbox": _each(_bars),
    "crop 67%": _each(_crop),
    "brighter": _each(_bright),
    "mirror": _each(lambda frame: frame[:, ::-1]),
    "grey": _each(_grey),
    "all": lambda frames: [
        np.ascontiguousarray(_small(_bright(_logo(frame))))
        for frame in frames[: len(frames) * 6 // 10]
    ],
}
