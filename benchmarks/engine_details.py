"""Are details and faces answered? `engine.py --only details` counts.

A detail is six hundredths of a picture, cut out where there is something to see. It is asked for in
films as wide as others, upright and square. A face is cut out of one of twenty clips of five persons
before one wall (`asl_gestures` of github.com/intel-iot-devkit/sample-videos, in the folder
`MEMORIES_FACE_VIDEOS`), and asked for in that clip and in those of all other persons, where each
answer is wrong.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import cv2
import numpy as np
from engine_films import RATE, Reel, picture_at, reel
from engine_queries import DISTORTIONS, search

from memories_async.local.engine.search.ranking import KEEP
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.vision.index import PixelIndex
from memories_async.local.engine.vision.indexing import index_video

SHAPES = {"wide": (640, 360), "upright": (360, 640), "square": (480, 480)}
OPPOSITE = {"tuned": "fresh", "fresh": "tuned", "tried": "wild", "wild": "tried"}
# The person in each clip, and where the face is in the picture at 1.3 s: left, top, side.
FACES = {
    "again": ("A", 285, 85, 73),
    "brother": ("A", 245, 85, 73),
    "help": ("A", 301, 85, 73),
    "no": ("A", 266, 74, 87),
    "student": ("A", 269, 85, 73),
    "yes": ("A", 266, 83, 87),
    "please": ("B", 277, 61, 73),
    "sorry": ("B", 269, 61, 73),
    "thanks": ("B", 277, 61, 73),
    "milk": ("B", 277, 61, 73),
    "book": ("C", 261, 101, 73),
    "school": ("C", 261, 93, 73),
    "walk": ("C", 261, 101, 73),
    "eat": ("D", 261, 109, 73),
    "night": ("D", 269, 109, 73),
    "sister": ("D", 261, 101, 73),
    "hungry": ("E", 285, 29, 73),
    "want": ("E", 237, 61, 73),
}


def report_details(folder: Path, tell, *, quick: bool) -> None:
    """Print what is answered of details in each group and shape, and of faces."""
    for group in ("fresh",) if quick else OPPOSITE:
        film = reel(folder, group, seed=2, scenes=4 if quick else 8)
        other = reel(folder, OPPOSITE[group], seed=2, scenes=2 if quick else 8)
        if film is None or other is None:
            continue
        foreign = index_video(other.path)
        for shape in ("upright",) if quick else SHAPES:
            shown = reshape(film, shape, folder)
            counts = count_details(shown, index_video(shown.path), foreign, quick=quick)
            tell("details", counts.pop("answered"), group=group, shape=shape, score=KEEP, **counts)
    report_faces(tell)


def reshape(film: Reel, shape: str, folder: Path) -> Reel:
    """Write the middle of *film* in another *shape*."""
    if shape == "wide":
        return film
    size = SHAPES[shape]
    path = folder / f"{film.path.stem}-{shape}.mp4"
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, size)
    with Film.open(film.path) as source:
        for frame in source.frames(1000):
            height, width = frame.picture.shape[:2]
            part = round(height * size[0] / size[1])
            left = (width - part) // 2
            out.write(cv2.resize(frame.picture[:, left : left + part], size))
    out.release()
    return attrs.evolve(film, path=path)


def count_details(
    film: Reel, index: PixelIndex, foreign: PixelIndex, *, quick: bool
) -> dict[str, float | int]:
    """Ask for a detail of each stretch."""
    parts = (0.5,) if quick else (0.3, 0.6, 0.8)
    times = [one.start + (one.end - one.start) * part for one in film.stretches for part in parts]
    rows = []
    for at, (time, picture) in enumerate(zip(times, picture_at(film.path, times), strict=True)):
        query = DISTORTIONS["object 6%"](picture, np.random.default_rng(31_000 + at))
        _, best, found = search(query, index)
        holds = [one.start_time <= time <= one.end_time for one in found]
        rows.append(
            (
                any(holds),
                best[0].start_time <= time <= best[0].end_time,
                not all(holds),
                search(query, foreign)[0] >= KEEP,
            )
        )
    answered, first, wrong, strange = np.mean(np.array(rows, float), axis=0).tolist()
    return {
        "answered": answered,
        "recall@1": round(first, 3),
        "with another clip": round(wrong, 3),
        "foreign answered": round(strange, 4),
        "queries": len(rows),
    }


def cut_faces() -> tuple[dict[str, dict[str, np.ndarray]], dict[str, PixelIndex]]:
    """Cut each face out of its clip, beside the whole picture; and index the clips, if they are at hand."""
    folder = os.environ.get("MEMORIES_FACE_VIDEOS")
    paths = {name: Path(folder, f"{name}.mkv") for name in FACES} if folder else {}
    if not all(path.exists() for path in paths.values()):
        paths = {}
    wholes = {name: picture_at(path, [1.3])[0] for name, path in paths.items()}
    faces = {}
    for name, picture in wholes.items():
        _, left, top, side = FACES[name]
        margin = side // 8
        face = picture[top - margin : top + side + margin, left : left + side]
        faces[name] = np.ascontiguousarray(face)
    indexes = {name: index_video(path) for name, path in paths.items()}
    return {"face": faces, "whole picture": wholes}, indexes


def report_faces(tell) -> None:
    """Ask for each face, and for the whole picture, in its own clip and in those of others."""
    queries, indexes = cut_faces()
    for what, pictures in queries.items() if indexes else ():
        own, foreign = [], []
        for name, query in pictures.items():
            own.append(search(query, indexes[name])[0])
            others = [other for other, (who, *_) in FACES.items() if who != FACES[name][0]]
            foreign += [search(query, indexes[other])[0] for other in others]
        tell(f"{what}, answered", share(own), queries=len(own), score=KEEP)
        tell(
            f"{what} of another person, answered",
            share(foreign),
            queries=len(foreign),
            most=round(max(foreign), 2),
        )


def share(scores: list[float]) -> float:
    """Return the share of *scores* that are answered."""
    return float(np.mean(np.array(scores) >= KEEP))
