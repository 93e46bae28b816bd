"""Decode a video in a process of its own, with a time limit: a hostile file takes nothing down.

A program of its own rather than a forked or spawned worker: forking under threads is unsafe, and
spawning would run a user's script again where it lacks the `__main__` guard. At most as many run
at once as there are cores, and none outlives the process that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["REFUSED", "command", "environment", "last_line", "run_apart"]

REFUSED = 3
"""Exit code of a process that says why its video is unreadable."""
# The packages above the engine import the whole client; bare ones save half a second a video.
_START = """
import importlib, sys, types
for name, folder in zip(("memories_async", "memories_async.local"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
program = importlib.import_module("memories_async.local.engine.processes." + sys.argv[3])
sys.exit(program.main(*sys.argv[4:]))
"""
# Ctrl-C and a shutdown reach the process as well, and say nothing about the video.
_ASKED_TO_END = (signal.SIGINT, signal.SIGTERM)
_LOCAL = Path(__file__).parents[2]
_TURNS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))


def run_apart(
    task: str,
    video: Path,
    result: Path,
    settings: str = "",
    *,
    seconds: float,
    under_way: set[subprocess.Popen[bytes]] | None = None,
) -> None:
    """Do a *task* of `worker` on *video* into the file *result*, in at most *seconds*.

    The process is in *under_way* meanwhile, for who wants to end it. Raises `UnreadableVideo`.
    """
    group = set[subprocess.Popen[bytes]]() if under_way is None else under_way
    with _TURNS, tempfile.TemporaryFile() as said, _lifeline() as lifeline:
        given = command("one_shot_child", task, str(video.resolve()), str(result), settings)
        with _started(given, lifeline, said) as child:
            group.add(child)
            try:
                told, _ = child.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                raise UnreadableVideo(f"decoding took longer than {seconds:g} s") from error
            finally:
                group.discard(child)
                child.kill()
        said.seek(0)
        _check(child.returncode, told, said.read())


@contextmanager
def _lifeline() -> Generator[int]:
    """Give the end of a pipe at which a child sees this process end, however it ends."""
    watched, held = os.pipe()
    try:
        yield watched
    finally:
        os.close(watched)
        os.close(held)


def _started(given: list[str], lifeline: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 # our own program, no shell
        given,
        stdin=lifeline,
        stdout=subprocess.PIPE,
        stderr=said,
        env=environment(),
    )


def _check(code: int, told: bytes, said: bytes) -> None:
    """Say in an exception what became of a process that ended with *code*."""
    if code == REFUSED:
        raise UnreadableVideo(told.decode())
    if -code in _ASKED_TO_END:
        raise EngineFailed(f"indexing was interrupted (signal {-code})")
    if code < 0:
        raise UnreadableVideo(f"the decoder died on this file (signal {-code})")
    if code:
        raise EngineFailed(f"indexing failed: {last_line(said)}")


def command(program: str, *given: str) -> list[str]:
    """Say how to run the `main` of a module beside this one, in a process of its own."""
    return [sys.executable, "-c", _START, str(_LOCAL.parent), str(_LOCAL), program, *given]


def environment() -> dict[str, str]:
    """Give such a process our import path; and let FFmpeg follow no address inside a playlist."""
    return {
        # Its products are small; threads that wait for each other on busy cores double the time.
        "OPENBLAS_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
    }


def last_line(text: bytes) -> str:
    """Pick what a process that failed said last."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
