"""What every child process of the engine has in common: how it is started, and what it may use.

The parent builds the command and the environment; the child bounds its memory, lowers its priority
and ends with its parent.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = [
    "bound_memory",
    "build_command",
    "build_environment",
    "end_with_parent",
    "import_function",
    "last_line",
    "lower_priority",
]

# The packages above the engine import the whole client; empty ones save half a second a process.
_START = """
import importlib, sys, types
for name, folder in zip(("memories_async", "memories_async.local"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
program = importlib.import_module("memories_async.local.engine.processes." + sys.argv[3])
sys.exit(program.main(*sys.argv[4:]))
"""
_LOCAL = Path(__file__).parents[2]
_MEMORY = 6 * 2**30
"""Bytes of address space; an hour of video needs about two thousand million."""
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20),
}
"""Settings of glibc that keep freed memory for the next query: to get megabytes from the system anew for
each picture took a quarter of a search's CPU time."""
_NICENESS = 5
"""Enough that an event loop gets its core at once, little enough to progress on a busy machine."""


def build_command(program: str, *arguments: str) -> list[str]:
    """Build the command that runs the `main` of the module *program* beside this one."""
    return [sys.executable, "-c", _START, str(_LOCAL.parent), str(_LOCAL), program, *arguments]


def build_environment() -> dict[str, str]:
    """Copy this process's environment, with our import path; FFmpeg opens local files only."""
    return {
        # Matrices and pictures are small; threads that wait for each other on busy cores double the time.
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_FOR_THREADS_NUM": "1",
        **_KEEP_MEMORY,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
        "OPENCV_FFMPEG_LOGLEVEL": "-8",
    }


def last_line(output: bytes) -> str:
    """Return the last line that a failed process wrote to its error output."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def import_function(name: str) -> Callable[..., Any]:
    """Import what `package.module:function` names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def bound_memory() -> None:
    """Limit this process's address space, so that a file that expands hugely fails in it alone."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, most))


def lower_priority() -> None:
    """Let the processes that answer requests run before one that indexes a video."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def end_with_parent() -> None:
    """End this process once its standard input is closed, as happens when its parent ends."""

    def watch() -> None:
        # Not `sys.stdin`: its lock would be missing when this process ends first.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
