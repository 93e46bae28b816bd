"""The parts of the pixel engine glued together; the only module that `pixels` loads late."""

from __future__ import annotations

from pathlib import Path

from memories_async.local.engine import clips, matching
from memories_async.local.engine.archive import kept
from memories_async.local.engine.cache import load
from memories_async.local.engine.caption import caption
from memories_async.local.engine.embedding import embed
from memories_async.local.engine.index import PixelIndex
from memories_async.local.engine.isolated import run_apart
from memories_async.local.engine.picture import decode
from memories_async.local.engine.prompt import understand
from memories_async.local.engine.protocol import Found, Index
from memories_async.local.engine.ranking import ranking
from memories_async.local.engine.score import KEEP
from memories_async.local.engine.weights import weights

__all__ = ["caption", "embed", "index", "own", "search"]


def index(path: Path, folder: Path | None, *, engine: str, seconds: float) -> PixelIndex:
    """Give the index of the video at *path*, from *folder* if it is there."""

    def build(result: Path) -> None:
        run_apart("index", path, result, seconds=seconds)

    return kept(path, folder, engine=engine, load=load, build=build)


def search(known: PixelIndex, image: bytes, prompt: str) -> Found:
    """Find the stretches that look like *image*, weighted by what *prompt* wishes."""
    wish = understand(prompt)
    asked = matching.query(decode(image), centre=wish.centre, colourless=wish.colourless)
    factor = weights(wish, known)
    scores, strict = ranking(asked, known, factor)
    return Found(
        clips=clips.grow(scores, known, keep=KEEP, factor=factor, strict=strict),
        ignored=wish.ignored,
    )


def own(known: Index) -> PixelIndex:
    """Refuse an index that another engine made."""
    if not isinstance(known, PixelIndex):
        raise TypeError("this index was made by another engine")
    return known
