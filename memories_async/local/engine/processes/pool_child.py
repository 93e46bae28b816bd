"""Answer questions about kept indexes, one after another, as the whole work of a process.

Started by `answering`. A question is a pickle from the process that started this one; an answer is
a line of JSON, so that nothing that a picture may do to this process reaches the other.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from memories_async.local.engine import _pixels
from memories_async.local.engine.processes.limits import bound_memory
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    EngineError,
    Facts,
    UnreadableImage,
)
from memories_async.local.engine.vision import index_cache
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["main", "reply"]

_PATIENCE = 30.0
"""Seconds without a question after which this process ends by itself."""
_HELD = 8
"""Indexes held in memory; reading one anew takes milliseconds."""


def main() -> int:
    """Answer until nobody asks any more."""
    # Ctrl-C is for the program that asks; its terminal sends it to us as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bound_memory()
    questions, answers = sys.stdin.buffer, _own_output()
    while _asked(questions):
        try:
            question = pickle.load(questions)  # noqa: S301 # from the process that started us
        except EOFError:
            break
        seconds, *asked = question
        _limit(seconds)
        answers.write(json.dumps(reply(*asked)).encode() + b"\n")
        answers.flush()
        _limit(0)
    return 0


def reply(question: str, place: Path, *given: Any) -> dict[str, Any]:
    """Answer *question* about the index at *place*; say why where that cannot be."""
    try:
        index = _load(place)
        return {"answer": None if index is None else _ANSWERS[question](index, *given)}
    except UnreadableImage as error:
        return {"unreadable": error.reason}
    except EngineError as error:
        return {"failed": error.reason}
    except Exception as error:  # noqa: BLE001 # told to who asked, who has nowhere else to look
        return {"failed": f"answering failed: {type(error).__name__}: {error}"}


def _load(place: Path) -> PixelIndex | None:
    found = _held(place) if place.exists() else None
    if found is None:
        _held.cache_clear()
    return found


@lru_cache(_HELD)
def _held(place: Path) -> PixelIndex | None:
    return index_cache.load(place)


def _facts(index: PixelIndex) -> Facts:
    return index.facts


def _embed(index: PixelIndex, dimensions: int) -> tuple[float, ...]:
    return _pixels.embed(index.summary, dimensions)


def _caption(index: PixelIndex, request: CaptionRequest) -> CaptionText:
    return _pixels.caption(index, request)


def _plain(answer: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return lambda *given: attrs.asdict(answer(*given))


_ANSWERS: Mapping[str, Callable[..., Any]] = {
    "facts": _plain(_facts),
    "search": _plain(_pixels.search),
    "embed": _embed,
    "caption": _plain(_caption),
}


def _limit(seconds: float) -> None:
    """Let the system end this process after *seconds*, wherever it hangs; 0 takes that back."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _asked(questions: BinaryIO) -> bool:
    """Wait for a question, or for the end of all; False after a long silence."""
    if sys.platform == "win32":
        return True  # only sockets can be waited for there
    return bool(select.select([questions], [], [], _PATIENCE)[0])


def _own_output() -> BinaryIO:
    """Keep standard output for answers: what a decoder prints there goes to the errors instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers
