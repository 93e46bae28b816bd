"""The parts of the pixel engine glued together; the only module that `pixels` loads late."""

from __future__ import annotations

from pathlib import Path

from memories_async.local.engine import cache, clips, matching
from memories_async.local.engine.caption import caption
from memories_async.local.engine.embedding import embed
from memories_async.local.engine.index import PixelIndex
from memories_async.local.engine.isolated import index_apart
from memories_async.local.engine.picture import decode
from memories_async.local.engine.prompt import understand
from memories_async.local.engine.protocol import EngineFailed, Found, Index, UnreadableVideo
from memories_async.local.engine.ranking import ranking
from memories_async.local.engine.score import KEEP
from memories_async.local.engine.weights import weights

__all__ = ["caption", "embed", "index", "own", "search"]


def index(path: Path, folder: Path, *, engine: str, seconds: float) -> PixelIndex:
    """Give the index of the video at *path*, from *folder* if it is there."""
    try:
        kept = cache.place(folder, content=cache.content_hash(path), engine=engine)
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
    found = cache.load(kept)
    if found is None:
        index_apart(path, kept, seconds=seconds)
        found = cache.load(kept)
    if found is None:
        raise EngineFailed("the index that was just written cannot be read")
    return found


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
