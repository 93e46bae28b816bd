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

from memories_async.local.engine.content_cache import CacheFailed
from memories_async.local.engine.processes.child import build_command, build_environment, last_line
from memories_async.local.engine.protocol import EngineFailed, UnreadableVideo

__all__ = ["NOT_WRITTEN", "REFUSED", "run_in_child"]

REFUSED, NOT_WRITTEN = 3, 4
"""Exit codes of a child that writes to standard output why the video, or its result's place, is bad."""
# Ctrl-C and a shutdown reach the child as well; these signals say nothing about the video.
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
# Sent from outside, by the system where memory runs out, say: neither does this one.
_KILLED = getattr(signal, "SIGKILL", None)
_ATTEMPTS = 2
"""A child that is killed from outside is started once more."""
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
    crashes; `CacheFailed` when the result cannot be written; `EngineFailed` when the task fails in
    another way, or is killed from outside twice.
    """
    running = set[subprocess.Popen[bytes]]() if running is None else running
    for attempt in range(1, _ATTEMPTS + 1):
        code, output, errors = _run_once(task, arguments, seconds, running)
        if _KILLED is None or -code != _KILLED or attempt == _ATTEMPTS:
            return _check_exit(code, output, errors)
    raise AssertionError("unreachable")


def _run_once(
    task: str,
    arguments: tuple[str, ...],
    seconds: float,
    running: set[subprocess.Popen[bytes]],
) -> tuple[int, bytes, bytes]:
    """Run a child once; return its exit code, its output and its errors."""
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
            return child.returncode, output, errors.read()
    finally:
        os.close(watched)
        os.close(held)


def _check_exit(code: int, output: bytes, errors: bytes) -> None:
    """Raise what the exit code of a child stands for."""
    if code == REFUSED:
        raise UnreadableVideo(output.decode())
    if code == NOT_WRITTEN:
        raise CacheFailed(output.decode())
    if -code in _INTERRUPTS:
        raise EngineFailed(f"indexing was interrupted (signal {-code})")
    if -code == _KILLED:
        raise EngineFailed(f"the decoder was killed (signal {-code}); is there enough memory?")
    if code < 0:
        raise UnreadableVideo(f"the decoder died on this file (signal {-code})")
    if code:
        raise EngineFailed(f"indexing failed: {last_line(errors)}")
