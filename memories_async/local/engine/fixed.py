"""An engine that computes nothing and returns fixed answers: for fast unit tests.

It needs neither OpenCV nor numpy. Every reply of the service carries its name, `fixed/1`, and its
captions begin with a mark.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine.content_cache import hash_content
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    Facts,
    Index,
    Match,
    SearchResult,
    Shot,
    UnreadableVideo,
    count_tokens,
)

__all__ = ["MARK", "FixedEngine", "FixedIndex"]

MARK = "[fixed answer, nothing was computed]"
_FACTS = Facts(
    duration=60.0,
    width=640,
    height=360,
    fps=25.0,
    frames=1500,
    shots=(Shot(start_time=0.0, end_time=60.0),),
)
_CLIPS = (
    Match(start_time=12.5, end_time=18.2, score=0.8631),
    Match(start_time=42.0, end_time=47.8, score=0.8124),
)


@frozen(kw_only=True)
class FixedIndex:
    """A video that was not decoded: fixed facts, and the hash of its content."""

    facts: Facts
    content: str


@frozen(kw_only=True)
class FixedEngine:
    """Answers every question alike; only embeddings depend on the file."""

    clips: tuple[Match, ...] = _CLIPS
    text: str = "A video."
    facts: Facts = _FACTS
    name: str = field(default="fixed/1", init=False)

    def index(self, path: Path) -> FixedIndex:
        """Hash the file at *path*. Raises `UnreadableVideo` where it is empty or cannot be read."""
        try:
            content = hash_content(path)
        except OSError as error:
            raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
        if content == hashlib.sha256().hexdigest():
            raise UnreadableVideo("the file is empty")
        return FixedIndex(facts=self.facts, content=content)

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:  # noqa: ARG002 # fixed
        """Return the fixed clips; every word of *prompt* is ignored."""
        return SearchResult(clips=self.clips, ignored=tuple(prompt.split()))

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Return numbers made from the content's hash: the same file, the same vector."""
        if not isinstance(index, FixedIndex):
            raise TypeError("this index was made by another engine")
        raw = [_hash_number(index.content, place) for place in range(dimensions)]
        length = math.sqrt(math.fsum(value * value for value in raw))
        return tuple(value / length for value in raw)

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:  # noqa: ARG002 # fixed
        """Return the fixed text, marked."""
        text = f"{MARK} {self.text}"
        read = [request.system_prompt, request.user_prompt, *(one.name for one in request.persons)]
        return CaptionText(
            text=text, input_tokens=sum(map(count_tokens, read)), output_tokens=count_tokens(text)
        )


def _hash_number(content: str, place: int) -> float:
    """Make a number within -1..1, never 0, from a hash."""
    digest = hashlib.sha256(f"{content}/{place}".encode()).digest()
    return (int.from_bytes(digest[:6], "big") * 2 + 1) / 2**48 - 1
