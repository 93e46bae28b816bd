"""Stills of a video for a model to look at: JPEG; taken in a child process, cached on disk.

Cached as JSON, so that reading them needs neither OpenCV nor numpy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from memories_async.local.engine.content_cache import load_or_build, write_file
from memories_async.local.engine.processes.one_shot import run_in_child
from memories_async.local.engine.protocol import Facts

if TYPE_CHECKING:
    from memories_async.local.engine.video.film import Frame

__all__ = ["Still", "choose_times", "load_stills", "take_stills"]

_FEWEST, _MOST = 8, 16
_LONGEST = 768
_QUALITY = 80
_FINE = 25.0
"""Frames a second among which the wanted ones are looked for."""


@frozen(kw_only=True)
class Still:
    """A frame, and the second from which it is shown."""

    time: float
    jpeg: bytes = field(repr=False)


def choose_times(facts: Facts) -> tuple[float, ...]:
    """Choose 8 to 16 seconds, rising: the middles of the longest shots, long ones split in parts."""

    def measure(part: tuple[float, float]) -> float:
        return part[1] - part[0]

    parts = [(shot.start_time, shot.end_time) for shot in facts.shots]
    while len(parts) < _FEWEST:
        start, end = max(parts, key=measure)
        at = parts.index((start, end))
        parts[at : at + 1] = [(start, (start + end) / 2), ((start + end) / 2, end)]
    longest = sorted(parts, key=measure, reverse=True)[:_MOST]
    return tuple(sorted((start + end) / 2 for start, end in longest))


def load_stills(
    video: Path, folder: Path | None, *, times: tuple[float, ...], seconds: float
) -> tuple[Still, ...]:
    """Load the frames shown at *times* (rising), each once, from *folder*.

    Where they are not there, a child process decodes *video* for at most *seconds*. Raises
    `UnreadableVideo`.
    """
    settings = json.dumps({"times": times, "longest": _LONGEST, "quality": _QUALITY})

    def build(result: Path) -> None:
        task = f"{__name__}:take_stills"
        run_in_child(task, str(video.resolve()), str(result), settings, seconds=seconds)

    made_by = f"stills-{hashlib.sha256(settings.encode()).hexdigest()[:24]}"
    return load_or_build(video, folder, engine=made_by, suffix=".json", load=_read, build=build)


def take_stills(video: str, result: str, settings: str) -> None:
    """Write the stills that *settings* describes to the file *result*; a task of `run_in_child`."""
    # These need OpenCV, which the process that only reads stills does without.
    from memories_async.local.engine.video.film import Film  # noqa: PLC0415
    from memories_async.local.engine.video.picture import encode  # noqa: PLC0415

    wanted = json.loads(settings)
    rows: list[tuple[float, str]] = []
    with Film.open(Path(video)) as film:
        frames = film.frames(_FINE, longest=wanted["longest"])
        for frame in _pick_frames(frames, wanted["times"]):
            jpeg = encode(frame.picture, quality=wanted["quality"])
            rows.append((frame.time, base64.b64encode(jpeg).decode()))
    write_file(Path(result), lambda file: file.write(json.dumps(rows).encode()))


def _pick_frames(frames: Iterator[Frame], times: Sequence[float]) -> Iterator[Frame]:
    """Yield those of *frames* shown at *times* (rising), each once; the last stays for ever."""
    shown = next(frames)
    for after in frames:
        if any(shown.time <= time < after.time for time in times):
            yield shown
        shown = after
        if shown.time > times[-1]:
            return
    yield shown


def _read(path: Path) -> tuple[Still, ...] | None:
    try:
        rows = json.loads(path.read_bytes())
        return tuple([Still(time=float(time), jpeg=base64.b64decode(row)) for time, row in rows])
    except (OSError, ValueError, TypeError):
        return None
