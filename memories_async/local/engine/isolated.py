"""Decode a video in a process of its own, with a time limit: a hostile file takes nothing down.

A program of its own rather than a forked or spawned worker: forking under threads is unsafe, and
spawning would run a user's script again where it lacks the `__main__` guard. At most as many run
at once as there are cores.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["command", "environment", "last_line", "run_apart"]

_REFUSED = 3
# The packages above the engine import the whole client; bare ones save half a second a video.
_START = """
import importlib, sys, types
for name, folder in zip(("memories_async", "memories_async.local"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
program = importlib.import_module("memories_async.local.engine." + sys.argv[3])
sys.exit(program.main(*sys.argv[4:]))
"""
# Ctrl-C and a shutdown reach the process as well, and say nothing about the video.
_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM)
_LOCAL = Path(__file__).parents[1]
_TURNS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))


def run_apart(task: str, video: Path, result: Path, settings: str = "", *, seconds: float) -> None:
    """Do a *task* of `worker` on *video* into the file *result*, in at most *seconds*.

    Raises `UnreadableVideo`.
    """
    with _TURNS, tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(  # noqa: S603 # our own program, no shell
                command("worker", task, str(video.resolve()), str(result), settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                timeout=seconds,
                check=False,
                env=environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise UnreadableVideo(f"decoding took longer than {seconds:g} s") from error
        if done.returncode == _REFUSED:
            raise UnreadableVideo(done.stdout.decode())
        if -done.returncode in _ASKED_TO_END:
            raise EngineFailed(f"indexing was interrupted (signal {-done.returncode})")
        if done.returncode < 0:
            raise UnreadableVideo(f"the decoder died on this file (signal {-done.returncode})")
        if done.returncode:
            said.seek(0)
            raise EngineFailed(f"indexing failed: {last_line(said.read())}")


def command(program: str, *given: str) -> list[str]:
    """Say how to run the `main` of a module beside this one, in a process of its own."""
    return [sys.executable, "-c", _START, str(_LOCAL.parent), str(_LOCAL), program, *given]


def environment() -> dict[str, str]:
    """Give such a process our import path; and let FFmpeg follow no address inside a playlist."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
    }


def last_line(text: bytes) -> str:
    """Pick what a process that failed said last."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
