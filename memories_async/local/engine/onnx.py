"""Search and embed by an image-text model that the user brings as ONNX files (CLIP, SigLIP).

Such a model finds kinds of things; the pixel engine finds only the same footage. The base engine
still makes shots, facts, captions and its own matches; the model's likeness adds clips, after those.
Cosines mean something else in each model: `Likeness.fit` measures them on pairs of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

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
    EngineFailed,
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
_FLOOR = 0.5
"""Factor on the score of a frame that does not show what the prompt says."""
_FEWEST = 10
"""Pairs of each kind from which `Likeness.fit` measures anything."""
_RIDGE, _STEPS = 0.01, 50
"""How far apart pairs may drive the slope, and the steps of Newton's method."""


@frozen(kw_only=True)
class Likeness:
    """How a cosine becomes a score: a half at *middle*, steeper with *slope*."""

    middle: float = 0.85
    slope: float = 25.0
    keep: float = 0.3

    def score(self, cosines: Floats) -> Floats:
        """Compute the score of each cosine."""
        return np.asarray(1 / (1 + np.exp(-self.slope * (cosines - self.middle))), np.float32)

    @classmethod
    def fit(cls, *, alike: Sequence[float], unlike: Sequence[float]) -> Likeness:
        """Fit the curve to the cosines of pairs that are *alike*, and of pairs that are not.

        At least ten of each. `keep` becomes at least 0.3, and high enough for at most one in a
        hundred of the unlike pairs. `ValueError` where those are as near as the others.
        """
        if min(len(alike), len(unlike)) < _FEWEST:
            raise ValueError(f"alike, unlike: at least {_FEWEST} cosines each are needed")
        cosines = np.concatenate((alike, unlike)).astype(np.float64)
        is_alike = np.repeat((1.0, 0.0), (len(alike), len(unlike)))
        # Both kinds weigh the same, however many pairs there are of each.
        weights = np.repeat((1 / len(alike), 1 / len(unlike)), (len(alike), len(unlike)))
        mean, spread = cosines.mean(), max(float(cosines.std()), 1e-6)
        rows = np.column_stack(((cosines - mean) / spread, np.ones(len(cosines))))
        line = np.zeros(2)
        for _ in range(_STEPS):
            chance = 1 / (1 + np.exp(-rows @ line))
            change = rows.T @ (weights * (is_alike - chance)) - (_RIDGE * line[0], 0)
            curve = (rows.T * (weights * chance * (1 - chance))) @ rows + np.diag((_RIDGE, 1e-9))
            line += np.linalg.solve(curve, change)
        if line[0] <= 0 or np.mean(alike) <= np.mean(unlike):
            raise ValueError("the pairs that are alike are no nearer: do the model's settings fit?")
        slope, middle = float(line[0] / spread), float(mean - line[1] * spread / line[0])
        high = np.asarray([np.percentile(unlike, 99)], np.float32)
        keep = float(cls(middle=middle, slope=slope).score(high)[0])
        return cls(middle=middle, slope=slope, keep=max(0.3, keep))


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
    """Adds a model's matches to those of *base*.

    The clips of *base* come first, and those of the model have no higher score: the two scales are
    not sorted together. `ValueError` where the two halves are not of one model.
    """

    base: Engine
    image: ImageTower
    text: TextTower | None = None
    likeness: Likeness = Likeness()
    """How near a picture and a frame are that show the same kind of thing."""
    fulfilment: Likeness = Likeness(middle=0.25, slope=50.0)
    """How near a prompt and a frame are that shows what it says."""
    cache: Path | None = None
    """Folder for the vectors of frames, by content, model and settings; may be that of *base*."""
    time_limit: float = 1800.0
    """Seconds for decoding one video and running the model on its frames."""

    def __attrs_post_init__(self) -> None:
        try:
            size = self.image.embed(np.full((64, 64, 3), 128, np.uint8)).size
        except EngineFailed as error:
            raise ValueError(f"image: {error}") from error
        words = None if self.text is None else self.text.embed("a picture").size
        if words not in (None, size):
            raise ValueError(
                f"text: its vectors have {words} numbers and those of image {size}: "
                "export both halves of one model, with their projections"
            )

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
        """Find what *base* finds, and elsewhere what the model finds alike, by picture and prompt."""
        own = _check_index(index)
        found = self.base.search(own.base, image, prompt)
        vectors = own.frames.vectors
        scores = self.likeness.score(vectors @ self.image.embed(decode(image)))
        if self.text is not None:
            scores = scores * self._weigh(vectors @ self.text.embed(prompt))
        most = min((clip.score for clip in found.clips), default=1.0)
        added = [
            evolve(clip, score=min(clip.score, most))
            for clip in _find_runs(scores, own, keep=self.likeness.keep, taken=found.clips)
        ]
        clips = (*found.clips, *sorted(added, key=lambda one: -one.score))
        return SearchResult(clips=clips, ignored=found.ignored if self.text is None else ())

    def _weigh(self, cosines: Floats) -> Floats:
        """Weigh frames by a prompt: alike where none shows what it says, however the best one is."""
        fulfilled = self.fulfilment.score(cosines)
        if float(fulfilled.max()) < _FLOOR:
            return np.full_like(fulfilled, _FLOOR)
        return np.asarray(_FLOOR + (1 - _FLOOR) * fulfilled, np.float32)

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


def _find_runs(
    scores: Floats, index: OnnxIndex, *, keep: float, taken: Sequence[Match]
) -> Iterable[Match]:
    """Yield each run of frames of a shot that score at least *keep*, without the clips in *taken*."""
    times = index.frames.times
    half = float(times[1] - times[0]) / 2 if len(times) > 1 else 0.5 / _RATE
    for shot in index.facts.shots:
        inside = (times >= shot.start_time) & (times < shot.end_time)
        good = np.flatnonzero(inside & (scores >= keep))
        for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1):
            if not len(run):
                continue
            first = max(shot.start_time, float(times[run[0]]) - half)
            last = min(shot.end_time, float(times[run[-1]]) + half)
            for start, end in _subtract(first, last, taken):
                own = scores[run][(times[run] >= start) & (times[run] <= end)]
                if len(own):
                    yield Match(
                        start_time=round(start, 3),
                        end_time=round(end, 3),
                        score=round(float(own.max()), 4),
                    )


def _subtract(start: float, end: float, taken: Iterable[Match]) -> list[tuple[float, float]]:
    """Return the parts of a stretch that lie in no clip of *taken*."""
    parts = [(start, end)]
    for clip in taken:
        around = [
            ((first, min(last, clip.start_time)), (max(first, clip.end_time), last))
            for first, last in parts
        ]
        parts = [part for pair in around for part in pair if part[0] < part[1]]
    return parts
