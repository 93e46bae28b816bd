"""Decode a video in a process of its own, with a time limit: a hostile file takes nothing down.

A program of its own rather than a forked or spawned worker: forking under threads is unsafe, and
spawning would run a user's script again where it lacks the `__main__` guard. At most as many run
at once as there are cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["run_apart"]

_REFUSED = 3
# The packages above the engine import the whole client; bare ones save half a second a video.
_START = """
import sys, types
for name, folder in zip(("memories_async", "memories_async.local"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from memories_async.local.engine.worker import main
sys.exit(main(*sys.argv[3:]))
"""
_LOCAL = Path(__file__).parents[1]
_TURNS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))


def run_apart(task: str, video: Path, result: Path, settings: str = "", *, seconds: float) -> None:
    """Do a *task* of `worker` on *video* into the file *result*, in at most *seconds*.

    Raises `UnreadableVideo`.
    """
    command = [sys.executable, "-c", _START, str(_LOCAL.parent), str(_LOCAL)]
    with _TURNS, tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(  # noqa: S603 # our own program, no shell
                [*command, task, str(video.resolve()), str(result), settings],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                timeout=seconds,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise UnreadableVideo(f"decoding took longer than {seconds:g} s") from error
        if done.returncode == _REFUSED:
            raise UnreadableVideo(done.stdout.decode())
        if done.returncode < 0:
            raise UnreadableVideo(f"the decoder died on this file (signal {-done.returncode})")
        if done.returncode:
            said.seek(0)
            raise EngineFailed(f"indexing failed: {_last_line(said.read())}")


def _environment() -> dict[str, str]:
    """Give the worker our import path; and let FFmpeg follow no address inside a playlist."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
    }


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
