"""Ask child processes, so that no search delays the event loop.

Threads would not do: numpy's many small steps hold the interpreter's lock, so each searching thread
delays the event loop by some 5 ms, and two searches take longer together than one after the other; and
a picture that crashes its decoder would take the service along. Processes start when they are
needed, are shared by all engines of this process, and end after half a minute without work, or
with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from typing import TypeVar

import cattrs
from attrs import define, field

from memories_async.local.engine.processes.child import build_command, build_environment, last_line
from memories_async.local.engine.protocol import EngineFailed, UnreadableImage

__all__ = ["ask"]

T = TypeVar("T")
Question = tuple[object, ...]

_MOST = min(4, os.cpu_count() or 1)
"""Processes at once."""
_TIMED_OUT = getattr(signal, "SIGALRM", None)
_SECONDS = 60.0
"""Longest time for an answer; a usual one takes a thousandth of it."""


def ask(shape: type[T], function: str, *arguments: object, seconds: float = _SECONDS) -> T | None:
    """Call *function*, named `package.module:function`, in a child; its answer as a *shape*.

    None stays None. Raises `UnreadableImage` where the function does, `EngineFailed` where it fails
    in another way, takes longer than *seconds*, or where the child dies.
    """
    reply = json.loads(_POOL.ask((seconds, function, *arguments)))
    if "unreadable" in reply:
        raise UnreadableImage(reply["unreadable"])
    if "failed" in reply:
        raise EngineFailed(reply["failed"])
    return None if reply["answer"] is None else cattrs.structure(reply["answer"], shape)


class _Process:
    """A child process that answers; one thread at a time asks it."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 # `end` closes it
        self._child = subprocess.Popen(  # noqa: S603 # our own program, no shell
            build_command("pool_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=build_environment(),
        )

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, question: Question) -> bytes:
        """Return the line that comes back; an empty one where the process ended instead."""
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):
            # Picture by picture, without a copy, which would hold the interpreter.
            pickle.dump(question, self)
        return self._child.stdout.readline()

    def write(self, piece: bytes) -> None:
        """Send *piece* past the pipe's buffer, which a fork at the wrong moment would double."""
        assert self._child.stdin is not None
        left = memoryview(piece)
        while left:
            left = left[os.write(self._child.stdin.fileno(), left) :]

    def end(self, *, patience: float = 1.0) -> str | None:
        """Wait for the end; return why the process died, None where it left for want of work."""
        with self._errors, self._child:
            try:
                code = self._child.wait(patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
                code = self._child.wait()
            self._errors.seek(0)
            errors = self._errors.read()
        if code < 0:
            why = "took too long" if -code == _TIMED_OUT else f"died (signal {-code})"
            return f"the process that looked at it {why}"
        return f"answering failed: {last_line(errors)}" if code else None


@define(eq=False)
class _Pool:
    """The idle processes; each answers one question at a time."""

    _idle: list[_Process] = field(factory=list[_Process])
    _slots: threading.BoundedSemaphore = field(factory=lambda: threading.BoundedSemaphore(_MOST))

    def ask(self, question: Question) -> bytes:
        """Put *question* to an idle process, or to a new one."""
        with self._slots:
            # An idle process may leave just now, for want of work; a new one does not.
            answer = self._ask_one(question, self._take_idle()) or self._ask_one(question, None)
        if answer is None:
            raise EngineFailed("the processes that answer end at once")
        return answer

    def _ask_one(self, question: Question, idle: _Process | None) -> bytes | None:
        process = idle or _Process()
        try:
            answer = process.ask(question)
        except BaseException:
            process.end(patience=0)
            raise
        if answer:
            self._idle.append(process)
            return answer
        cause = process.end()
        if cause is not None:
            raise EngineFailed(cause)
        return None

    def _take_idle(self) -> _Process | None:
        """Take the process that answered last, which may hold the index."""
        with suppress(IndexError):
            while True:
                process = self._idle.pop()
                if process.is_alive:
                    return process
                process.end()
        return None

    def close(self) -> None:
        """End every idle process."""
        while (process := self._take_idle()) is not None:
            process.end(patience=0)

    def reset_slots(self) -> None:
        """Start with all slots free in a forked process, where the threads that held some are gone.

        The processes belong to the parent: they are no children here, and count as ended.
        """
        self._slots = threading.BoundedSemaphore(_MOST)


_POOL = _Pool()
atexit.register(_POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.reset_slots)
