"""Decode one video and write what was wanted of it, as the whole work of a process that may be killed.

Started by `isolated`; the reason of a refusal goes to standard output, with its exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from memories_async.local.engine.models.stills import take
from memories_async.local.engine.processes.limits import bound_memory, end_with_parent, step_back
from memories_async.local.engine.processes.one_shot import REFUSED
from memories_async.local.engine.protocol import UnreadableVideo
from memories_async.local.engine.vision import index_cache
from memories_async.local.engine.vision.indexing import index_video

__all__ = ["main"]


def main(task: str, video: str, result: str, settings: str) -> int:
    """Do *task* on *video* into the file *result*; give the exit code."""
    end_with_parent()
    bound_memory()
    step_back()
    try:
        _TASKS[task](Path(video), Path(result), settings)
    except UnreadableVideo as error:
        sys.stdout.write(error.reason)
        return REFUSED
    return 0


def _index(video: Path, result: Path, _: str) -> None:
    index_cache.save(index_video(video), result)


def _embed(video: Path, result: Path, settings: str) -> None:
    from memories_async.local.engine.models import frame_vectors  # noqa: PLC0415 # few bring one

    frame_vectors.embed_frames(video, result, settings)


_TASKS: Mapping[str, Callable[[Path, Path, str], None]] = {
    "index": _index,
    "embed": _embed,
    "take": take,
}
