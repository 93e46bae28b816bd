"""Stills of a video for a model to look at: JPEG; made in a worker's process, kept on disk.

Kept as JSON, so that reading them needs neither OpenCV nor numpy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine.content_cache import kept, put
from memories_async.local.engine.processes.one_shot import run_apart

__all__ = ["Still", "stills", "take"]

_LONGEST = 768
_QUALITY = 80


@frozen(kw_only=True)
class Still:
    """A frame, and the second from which it is shown."""

    time: float
    jpeg: bytes = field(repr=False)


def stills(
    video: Path, folder: Path | None, *, times: tuple[float, ...], seconds: float
) -> tuple[Still, ...]:
    """Give the frames shown at *times* (rising), each once, from *folder* if they are there.

    Otherwise *video* is decoded, in a process of its own and for at most *seconds*. Raises
    `UnreadableVideo`.
    """
    settings = json.dumps({"times": times, "longest": _LONGEST, "quality": _QUALITY})

    def build(result: Path) -> None:
        run_apart("take", video, result, settings, seconds=seconds)

    made_by = f"stills-{hashlib.sha256(settings.encode()).hexdigest()[:24]}"
    return kept(video, folder, engine=made_by, suffix=".json", load=_load, build=build)


def take(video: Path, result: Path, settings: str) -> None:
    """Take the stills of *settings*; the task of the worker."""
    from memories_async.local.engine.models.jpegs import jpegs  # noqa: PLC0415 # needs OpenCV

    found = jpegs(video, **json.loads(settings))
    rows = [(time, base64.b64encode(jpeg).decode()) for time, jpeg in found]
    put(result, lambda file: file.write(json.dumps(rows).encode()))


def _load(path: Path) -> tuple[Still, ...] | None:
    try:
        rows = json.loads(path.read_bytes())
        return tuple([Still(time=float(time), jpeg=base64.b64decode(row)) for time, row in rows])
    except (OSError, ValueError, TypeError):
        return None
