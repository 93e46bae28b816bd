"""Index one video and write the result, as the whole work of a process that may be killed.

Started by `isolated`; the reason of a refusal goes to standard output, with exit code 3.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from memories_async.local.engine import cache
from memories_async.local.engine.indexing import index_video
from memories_async.local.engine.protocol import UnreadableVideo

__all__ = ["REFUSED", "main"]

REFUSED = 3
_MEMORY = 6 * 2**30
"""Bytes of address space; an hour of video needs about two thousand million."""


def main(video: str, result: str) -> int:
    """Index *video* into *result*; give the exit code."""
    _bound_memory()
    try:
        cache.save(index_video(Path(video)), Path(result))
    except UnreadableVideo as error:
        sys.stdout.write(error.reason)
        return REFUSED
    return 0


def _bound_memory() -> None:
    """Let a file that unfolds to something huge fail here, where the system can tell."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, most))
