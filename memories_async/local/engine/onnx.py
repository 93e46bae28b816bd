"""Search and embed by an image-text model that the user brings as ONNX files (CLIP, SigLIP).

Such a model knows kinds of things where pixels know only the same footage. The engine beneath still
makes shots, facts, captions and its own matches; the model's likeness adds clips. Its scores follow
a plain curve over the cosine, not a fitted one: set `Likeness` for the model at hand.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from memories_async.local.engine._cv import Floats, Picture, cv2, np, unit
from memories_async.local.engine.embedding import project
from memories_async.local.engine.frames import Film
from memories_async.local.engine.picture import decode
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    Facts,
    Found,
    Index,
    Match,
)

__all__ = ["ImageTower", "Likeness", "OnnxEngine", "OnnxIndex", "TextTower"]

_RATE = 1.0
_MOST = 3600
"""Frames put through the model: an hour at one a second."""


class _Session(Protocol):
    def get_inputs(self) -> Sequence[Any]: ...

    def run(self, names: None, feed: dict[str, Any]) -> Sequence[Any]: ...


def _session(path: Path) -> _Session:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an ONNX model needs onnxruntime: pip install 'memories_async[onnx]'",
            name="onnxruntime",
        ) from error
    session: _Session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session


@frozen(kw_only=True)
class ImageTower:
    """The image half of a model, and how it wants pictures; CLIP's ways by default."""

    path: Path
    size: int = 224
    """Pixels a side."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Red, green, blue, of 1; SigLIP wants 0.5 here and in *spread*."""
    spread: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    squash: bool = False
    """Press the picture into the square, as SigLIP does, instead of cutting its sides off."""
    session: _Session = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "session", _session(self.path))

    def vector(self, picture: Picture) -> Floats:
        """Put *picture* through the model; a vector of length 1."""
        name = self.session.get_inputs()[0].name
        found = self.session.run(None, {name: self._prepared(picture)[None]})[0]
        return unit(np.asarray(found, np.float32).reshape(-1))

    def _prepared(self, picture: Picture) -> Floats:
        square = picture if self.squash else _square(picture)
        small = cv2.resize(square, (self.size, self.size), interpolation=cv2.INTER_AREA)
        red_first = np.asarray(small, np.float32)[..., ::-1] / 255
        even = (red_first - np.array(self.mean)) / np.array(self.spread)
        return np.ascontiguousarray(even.transpose(2, 0, 1), np.float32)


@frozen(kw_only=True)
class TextTower:
    """The text half of a model, and the words' numbers that its tokenizer gives."""

    path: Path
    tokenize: Callable[[str], Sequence[int]]
    """Give as many numbers as the model wants, filled up and cut as it was trained."""
    session: _Session = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "session", _session(self.path))

    def vector(self, text: str) -> Floats:
        """Put *text* through the model; a vector of length 1."""
        name = self.session.get_inputs()[0].name
        numbers = np.array([self.tokenize(text)], np.int64)
        return unit(np.asarray(self.session.run(None, {name: numbers})[0], np.float32).reshape(-1))


@frozen(kw_only=True)
class Likeness:
    """How a cosine becomes a score: a half at *middle*, steeper with *slope*."""

    middle: float = 0.85
    slope: float = 25.0
    keep: float = 0.3

    def score(self, cosines: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-self.slope * (cosines - self.middle))), np.float32)


@frozen(kw_only=True)
class OnnxIndex:
    """The index beneath, and a vector for each second of the video."""

    beneath: Index = field(repr=False)
    times: Floats = field(repr=False)
    vectors: Floats = field(repr=False)

    @property
    def facts(self) -> Facts:
        return self.beneath.facts


@frozen(kw_only=True)
class OnnxEngine:
    """Adds what a model sees to what *beneath* finds."""

    beneath: Engine
    image: ImageTower
    text: TextTower | None = None
    likeness: Likeness = Likeness()

    @property
    def name(self) -> str:
        return f"{self.beneath.name}+{self.image.path.stem}"

    def index(self, path: Path) -> OnnxIndex:
        """Index the video at *path* beneath, then put a frame a second through the model."""
        beneath = self.beneath.index(path)
        rate = min(_RATE, _MOST / beneath.facts.duration)
        with Film.open(path) as film:
            seen = [(frame.time, self.image.vector(frame.picture)) for frame in film.frames(rate)]
        times, vectors = zip(*seen, strict=True)
        return OnnxIndex(
            beneath=beneath, times=np.array(times, np.float32), vectors=np.stack(vectors)
        )

    def search(self, index: Index, image: bytes, prompt: str) -> Found:
        """Find what *beneath* finds, and what the model holds alike; the text tower weighs."""
        own = _own(index)
        found = self.beneath.search(own.beneath, image, prompt)
        scores = self.likeness.score(own.vectors @ self.image.vector(decode(image)))
        if self.text is not None:
            scores = scores * _weights(own.vectors @ self.text.vector(prompt))
        clips = _apart([*found.clips, *_runs(scores, own, keep=self.likeness.keep)])
        return Found(clips=clips, ignored=found.ignored if self.text is None else ())

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Average the model's vectors; projected where it has another number of them."""
        mean = unit(_own(index).vectors.mean(axis=0))
        if len(mean) == dimensions:
            return tuple(float(value) for value in mean)
        return project(mean.astype(np.float64), dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Caption with the engine beneath."""
        return self.beneath.caption(_own(index).beneath, request)


def _own(index: Index) -> OnnxIndex:
    if not isinstance(index, OnnxIndex):
        raise TypeError("this index was made by another engine")
    return index


def _square(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


def _weights(cosines: Floats) -> Floats:
    """Weigh frames by how well a text fits them, against the best and worst of the video."""
    low, high = float(cosines.min()), float(cosines.max())
    return np.asarray(0.5 + 0.5 * (cosines - low) / max(high - low, 1e-6), np.float32)


def _runs(scores: Floats, index: OnnxIndex, *, keep: float) -> Iterable[Match]:
    """Give each run of frames within a shot that score at least *keep*."""
    for shot in index.facts.shots:
        inside = (index.times >= shot.start_time) & (index.times < shot.end_time)
        good = np.flatnonzero(inside & (scores >= keep))
        for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1):
            if len(run):
                half = 0.5 / _RATE
                yield Match(
                    start_time=round(max(shot.start_time, float(index.times[run[0]]) - half), 3),
                    end_time=round(min(shot.end_time, float(index.times[run[-1]]) + half), 3),
                    score=round(float(scores[run].max()), 4),
                )


def _apart(clips: Iterable[Match]) -> tuple[Match, ...]:
    """Sort by score, and leave out what overlaps a better one."""
    kept: list[Match] = []
    for clip in sorted(clips, key=lambda one: -one.score):
        if all(clip.end_time <= one.start_time or clip.start_time >= one.end_time for one in kept):
            kept.append(clip)
    return tuple(kept)
