"""Answer questions about cached pixel indexes; a child process of the pool calls `answer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from memories_async.local.engine.facts.caption import write_caption
from memories_async.local.engine.protocol import Facts
from memories_async.local.engine.search.clips import find_clips
from memories_async.local.engine.vision.embedding import embed
from memories_async.local.engine.vision.index import PixelIndex, load

__all__ = ["answer"]

_HELD = 8
"""Indexes held in memory; reading one anew takes milliseconds."""


def answer(question: str, path: Path, *arguments: Any) -> Any:
    """Answer *question* about the index at *path*; None where that is missing or damaged."""
    index = _load(path) if path.exists() else None
    if index is None:
        _load.cache_clear()
        return None
    return _ANSWERS[question](index, *arguments)


@lru_cache(_HELD)
def _load(path: Path) -> PixelIndex | None:
    return load(path)


def _get_facts(index: PixelIndex) -> Facts:
    return index.facts


def _embed(index: PixelIndex, dimensions: int) -> tuple[float, ...]:
    return embed(index.summary, dimensions)


_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "facts": _get_facts,
    "search": find_clips,
    "embed": _embed,
    "caption": write_caption,
}
