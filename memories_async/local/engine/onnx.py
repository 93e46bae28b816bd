"""Search and embed by an image-text model that the user brings as ONNX files (CLIP, SigLIP).

Such a model knows kinds of things where pixels know only the same footage. The base engine still
makes shots, facts, captions and its own matches; the model's likeness adds clips. Its scores follow
a plain curve over the cosine, not a fitted one: set `Likeness` for the model at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine._cv import Floats, np, unit
from memories_async.local.engine.models.frame_vectors import FrameVectors, frame_vectors
from memories_async.local.engine.models.towers import ImageTower, TextTower
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Engine,
    Facts,
    Index,
    Match,
    SearchResult,
)
from memories_async.local.engine.video.picture import decode
from memories_async.local.engine.vision.embedding import project

__all__ = ["ImageTower", "Likeness", "OnnxEngine", "OnnxIndex", "TextTower"]

_RATE = 1.0
_MOST = 3600
"""Frames put through the model: an hour at one a second."""


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
    """The index of the base engine, and what the model saw of the video."""

    base: Index = field(repr=False)
    frames: FrameVectors

    @property
    def facts(self) -> Facts:
        return self.base.facts


@frozen(kw_only=True)
class OnnxEngine:
    """Adds what a model sees to what *base* finds."""

    base: Engine
    image: ImageTower
    text: TextTower | None = None
    likeness: Likeness = Likeness()
    cache: Path | None = None
    """Folder for the vectors of frames, by content, model and ways; that of *base* will do."""
    time_limit: float = 1800.0
    """Seconds for decoding one video and putting its frames through the model."""

    @property
    def name(self) -> str:
        return f"{self.base.name}+{self.image.path.stem}"

    def index(self, path: Path) -> OnnxIndex:
        """Index the video at *path* with the base engine, then put a frame a second through the model.

        That is done apart, as the default engine does. Raises `UnreadableVideo`.
        """
        base = self.base.index(path)
        frames = frame_vectors(
            path,
            self.cache,
            tower=self.image,
            rate=min(_RATE, _MOST / base.facts.duration),
            seconds=self.time_limit,
        )
        return OnnxIndex(base=base, frames=frames)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Find what *base* finds, and what the model holds alike; the text tower weighs."""
        own = _own(index)
        found = self.base.search(own.base, image, prompt)
        vectors = own.frames.vectors
        scores = self.likeness.score(vectors @ self.image.vector(decode(image)))
        if self.text is not None:
            scores = scores * _weights(vectors @ self.text.vector(prompt))
        clips = _apart([*found.clips, *_runs(scores, own, keep=self.likeness.keep)])
        return SearchResult(clips=clips, ignored=found.ignored if self.text is None else ())

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Average the model's vectors; projected where it has another number of them."""
        mean = unit(_own(index).frames.vectors.mean(axis=0))
        if len(mean) == dimensions:
            return tuple(float(value) for value in mean)
        return project(mean.astype(np.float64), dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Caption with the base engine."""
        return self.base.caption(_own(index).base, request)


def _own(index: Index) -> OnnxIndex:
    if not isinstance(index, OnnxIndex):
        raise TypeError("this index was made by another engine")
    return index


def _weights(cosines: Floats) -> Floats:
    """Weigh frames by how well a text fits them, against the best and worst of the video."""
    low, high = float(cosines.min()), float(cosines.max())
    return np.asarray(0.5 + 0.5 * (cosines - low) / max(high - low, 1e-6), np.float32)


def _runs(scores: Floats, index: OnnxIndex, *, keep: float) -> Iterable[Match]:
    """Give each run of frames within a shot that score at least *keep*."""
    times = index.frames.times
    for shot in index.facts.shots:
        inside = (times >= shot.start_time) & (times < shot.end_time)
        good = np.flatnonzero(inside & (scores >= keep))
        for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1):
            if len(run):
                half = 0.5 / _RATE
                yield Match(
                    start_time=round(max(shot.start_time, float(times[run[0]]) - half), 3),
                    end_time=round(min(shot.end_time, float(times[run[-1]]) + half), 3),
                    score=round(float(scores[run].max()), 4),
                )


def _apart(clips: Iterable[Match]) -> tuple[Match, ...]:
    """Sort by score, and leave out what overlaps a better one."""
    kept: list[Match] = []
    for clip in sorted(clips, key=lambda one: -one.score):
        if all(clip.end_time <= one.start_time or clip.start_time >= one.end_time for one in kept):
            kept.append(clip)
    return tuple(kept)
