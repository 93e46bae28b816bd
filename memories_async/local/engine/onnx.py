"""Search and embed by an image-text model that the user brings as ONNX files (CLIP, SigLIP).

Such a model finds kinds of things; the pixel engine finds only the same footage. The base engine
still makes shots, facts, captions and its own matches; the model's likeness adds clips. Its scores
follow a plain curve over the cosine, not a fitted one: set `Likeness` for the model in use.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine._cv import Floats, np, unit
from memories_async.local.engine.models.towers import (
    FrameVectors,
    ImageTower,
    TextTower,
    load_vectors,
)
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
    """The base engine's index, and the model's vectors of the video's frames."""

    base: Index = field(repr=False)
    frames: FrameVectors

    @property
    def facts(self) -> Facts:
        return self.base.facts


@frozen(kw_only=True)
class OnnxEngine:
    """Adds a model's matches to those of *base*."""

    base: Engine
    image: ImageTower
    text: TextTower | None = None
    likeness: Likeness = Likeness()
    cache: Path | None = None
    """Folder for the vectors of frames, by content, model and settings; may be that of *base*."""
    time_limit: float = 1800.0
    """Seconds for decoding one video and running the model on its frames."""

    @property
    def name(self) -> str:
        return f"{self.base.name}+{self.image.path.stem}"

    def index(self, path: Path) -> OnnxIndex:
        """Index the video at *path* with the base engine, then run the model on a frame a second.

        Both in child processes. Raises `UnreadableVideo`.
        """
        base = self.base.index(path)
        frames = load_vectors(
            path,
            self.cache,
            tower=self.image,
            rate=min(_RATE, _MOST / base.facts.duration),
            seconds=self.time_limit,
        )
        return OnnxIndex(base=base, frames=frames)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Find what *base* finds, and what the model finds alike; the text tower weighs frames."""
        own = _check_index(index)
        found = self.base.search(own.base, image, prompt)
        vectors = own.frames.vectors
        scores = self.likeness.score(vectors @ self.image.embed(decode(image)))
        if self.text is not None:
            # Against the best and the worst frame of this video.
            cosines = vectors @ self.text.embed(prompt)
            low, high = float(cosines.min()), float(cosines.max())
            weights = 0.5 + 0.5 * (cosines - low) / max(high - low, 1e-6)
            scores = np.asarray(scores * weights, np.float32)
        clips = _drop_overlaps([*found.clips, *_find_runs(scores, own, keep=self.likeness.keep)])
        return SearchResult(clips=clips, ignored=found.ignored if self.text is None else ())

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Average the model's vectors; projected where it has another number of them."""
        mean = unit(_check_index(index).frames.vectors.mean(axis=0))
        if len(mean) == dimensions:
            return tuple(float(value) for value in mean)
        return project(mean.astype(np.float64), dimensions)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Caption with the base engine."""
        return self.base.caption(_check_index(index).base, request)


def _check_index(index: Index) -> OnnxIndex:
    if not isinstance(index, OnnxIndex):
        raise TypeError("this index was made by another engine")
    return index


def _find_runs(scores: Floats, index: OnnxIndex, *, keep: float) -> Iterable[Match]:
    """Yield each run of frames within a shot that score at least *keep*."""
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


def _drop_overlaps(clips: Iterable[Match]) -> tuple[Match, ...]:
    """Sort by score, and drop what overlaps a better one."""
    kept: list[Match] = []
    for clip in sorted(clips, key=lambda one: -one.score):
        if all(clip.end_time <= one.start_time or clip.start_time >= one.end_time for one in kept):
            kept.append(clip)
    return tuple(kept)
