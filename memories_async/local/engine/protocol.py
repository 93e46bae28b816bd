"""What the embedded service asks of an engine: index a video, then search, embed and caption it.

Plain values and one protocol, importable without OpenCV or numpy. An engine is synchronous and
safe to call from several threads; the service calls it away from its event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CaptionRequest",
    "CaptionText",
    "Engine",
    "EngineError",
    "EngineFailed",
    "Facts",
    "Index",
    "Match",
    "ReferencePerson",
    "SearchResult",
    "Shot",
    "UnreadableImage",
    "UnreadableVideo",
    "count_tokens",
]


class EngineError(Exception):
    """Base of what an engine raises on purpose; `reason` is one plain sentence."""

    def __init__(self, reason: str) -> None:
        """Keep *reason* apart from the exception's text, so that it pickles whole."""
        super().__init__(reason)
        self.reason = reason


class UnreadableVideo(EngineError):
    """The video holds no pictures that can be decoded."""


class UnreadableImage(EngineError):
    """The query or reference picture cannot be decoded."""


class EngineFailed(EngineError):
    """The engine, or the endpoint behind it, gave no answer."""


@frozen(kw_only=True)
class Shot:
    """A stretch without a cut; seconds."""

    start_time: float
    end_time: float


@frozen(kw_only=True)
class Facts:
    """What was measured about a video's file and decoding."""

    duration: float
    """Seconds, from the first frame shown to the end of the last."""
    width: int
    """Pixels, as shown: with square pixels, after the rotation that the file asks for."""
    height: int
    fps: float
    frames: int
    """Frames that are in the file and not damaged, not those that the container promises."""
    shots: tuple[Shot, ...]
    complete: bool = True
    """False when the file is cut short, or more than a few frames cannot be decoded."""
    start_time: float = 0.0
    """Second at which the first frame is shown, by the file's time stamps: shots begin there."""


class Index(Protocol):
    """What an engine knows about one video; everything but the facts is the engine's own."""

    @property
    def facts(self) -> Facts:
        """Measured facts about the file."""
        ...


@frozen(kw_only=True)
class Match:
    """A stretch of a video that looks like the query; seconds, and likeness from 0 to 1."""

    start_time: float
    end_time: float
    score: float


@frozen(kw_only=True)
class SearchResult:
    """An answer to a search, best first."""

    clips: tuple[Match, ...]
    ignored: tuple[str, ...] = ()
    """Words of the prompt that were not acted on, in their order."""


@frozen(kw_only=True)
class ReferencePerson:
    """A person named in a caption request, with a picture where one was given."""

    name: str
    image: bytes | None = field(default=None, repr=False)


@frozen(kw_only=True)
class CaptionRequest:
    """What a caption is asked to tell."""

    user_prompt: str
    system_prompt: str
    persons: tuple[ReferencePerson, ...] = ()
    thinking: bool = False


@frozen(kw_only=True)
class CaptionText:
    """A caption and what it cost in tokens."""

    text: str
    input_tokens: int
    output_tokens: int


def count_tokens(text: str) -> int:
    """Count the tokens of *text* by this service's one rule: four characters each, rounded up."""
    return -(-len(text) // 4)


class Engine(Protocol):
    """Computes the service's answers; brought by the user or `PixelEngine`."""

    @property
    def name(self) -> str:
        """Name and version, such as `pixels/1`: part of the cache key and of every reply."""
        ...

    def index(self, path: Path) -> Index:
        """Decode and describe the video at *path*; costly, cached by content hash.

        Raises `UnreadableVideo`.
        """
        ...

    def search(self, index: Index, image: bytes, prompt: str) -> SearchResult:
        """Find the stretches that look like *image*; an empty answer is a right answer.

        Raises `UnreadableImage`.
        """
        ...

    def embed(self, index: Index, dimensions: int) -> tuple[float, ...]:
        """Describe the whole video by exactly *dimensions* numbers of L2 norm 1."""
        ...

    def caption(self, index: Index, request: CaptionRequest) -> CaptionText:
        """Tell what was measured. Raises `EngineFailed`, `UnreadableImage`."""
        ...
