"""Run one task in a child process, with a time limit: a hostile file takes nothing else down.

The child is a program of its own rather than a forked or spawned worker: forking under threads is
unsafe, and spawning would run a user's script again where it lacks the `__main__` guard. At most as
many run at once as there are cores, and none outlives the process that started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading

from memories_async.local.engine.processes.child import build_command, build_environment, last_line
from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["REFUSED", "run_in_child"]

REFUSED = 3
"""Exit code of a child that writes to standard output why the video is unreadable."""
# Ctrl-C and a shutdown reach the child as well; these signals say nothing about the video.
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_SLOTS = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))


def run_in_child(
    task: str,
    *arguments: str,
    seconds: float,
    running: set[subprocess.Popen[bytes]] | None = None,
) -> None:
    """Call the function *task*, named `package.module:function`, with *arguments* in a child.

    The child is in *running* while it works, so that the caller can end it. Raises
    `UnreadableVideo` when the task does, when it takes longer than *seconds*, or when native code
    crashes; `EngineFailed` when the task fails in another way.
    """
    running = set[subprocess.Popen[bytes]]() if running is None else running
    # The child sees the pipe's end when this process ends, however it ends.
    watched, held = os.pipe()
    try:
        with _SLOTS, tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(  # noqa: S603 # our own program, no shell
                build_command("one_shot_child", task, *arguments),
                stdin=watched,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=build_environment(),
            )
            with child:
                running.add(child)
                try:
                    output, _ = child.communicate(timeout=seconds)
                except subprocess.TimeoutExpired as error:
                    raise UnreadableVideo(f"decoding took longer than {seconds:g} s") from error
                finally:
                    running.discard(child)
                    child.kill()
            errors.seek(0)
            _check_exit(child.returncode, output, errors.read())
    finally:
        os.close(watched)
        os.close(held)


def _check_exit(code: int, output: bytes, errors: bytes) -> None:
    """Raise what the exit code of a child stands for."""
    if code == REFUSED:
        raise UnreadableVideo(output.decode())
    if -code in _INTERRUPTS:
        raise EngineFailed(f"indexing was interrupted (signal {-code})")
    if code < 0:
        raise UnreadableVideo(f"the decoder died on this file (signal {-code})")
    if code:
        raise EngineFailed(f"indexing failed: {last_line(errors)}")
