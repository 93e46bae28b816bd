"""The parts of the pixel engine glued together."""

from __future__ import annotations

from memories_async.local.engine import clips, matching
from memories_async.local.engine.caption import caption
from memories_async.local.engine.embedding import embed
from memories_async.local.engine.index import PixelIndex
from memories_async.local.engine.picture import decode
from memories_async.local.engine.prompt import understand
from memories_async.local.engine.protocol import Found
from memories_async.local.engine.ranking import ranking
from memories_async.local.engine.score import KEEP
from memories_async.local.engine.weights import weights

__all__ = ["caption", "embed", "search"]


def search(known: PixelIndex, image: bytes, prompt: str) -> Found:
    """Find the stretches that look like *image*, weighted by what *prompt* wishes."""
    wish = understand(prompt)
    asked = matching.query(decode(image), centre=wish.centre, colourless=wish.colourless)
    factor = weights(wish, known)
    ranked = ranking(asked, known, factor)
    return Found(
        clips=clips.grow(ranked, known, keep=KEEP, factor=factor),
        ignored=wish.ignored,
    )
