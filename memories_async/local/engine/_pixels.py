"""The parts of the pixel engine glued together."""

from __future__ import annotations

from memories_async.local.engine.facts.caption import caption
from memories_async.local.engine.protocol import SearchResult
from memories_async.local.engine.search import clips, matching
from memories_async.local.engine.search.prompt import understand
from memories_async.local.engine.search.ranking import ranking
from memories_async.local.engine.search.score import KEEP
from memories_async.local.engine.search.weights import weights
from memories_async.local.engine.video.picture import decode
from memories_async.local.engine.vision.embedding import embed
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["caption", "embed", "search"]


def search(known: PixelIndex, image: bytes, prompt: str) -> SearchResult:
    """Find the stretches that look like *image*, weighted by what *prompt* wishes."""
    wish = understand(prompt)
    asked = matching.query(decode(image), centre=wish.centre, colourless=wish.colourless)
    factor = weights(wish, known)
    ranked = ranking(asked, known, factor)
    return SearchResult(
        clips=clips.grow(ranked, known, keep=KEEP, factor=factor),
        ignored=wish.ignored,
    )
