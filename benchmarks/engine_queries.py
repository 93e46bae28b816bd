"""Thirteen ways to distort a query picture, for `engine.py` and `engine_fit.py`; and the search for one."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from memories_async.local.engine.search import clips, matching
from memories_async.local.engine.search.ranking import KEEP, rank
from memories_async.local.engine.vision.index import PixelIndex


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


def search(picture: np.ndarray, index: PixelIndex):
    """Return the best score, the best five clips whatever their scores, and the clips answered."""
    one = np.ones(len(index.samples.times), np.float32)
    ranking = rank(matching.make_query(picture), index, one)
    best = clips.grow_clips(ranking, index, keep=0.0, factor=one)[:5]
    found = clips.grow_clips(ranking, index, keep=KEEP, factor=one)
    return float(ranking.scores.max()), best, found
