"""Ask processes beside this one about kept indexes, so that no search holds an event loop up.

Not threads: numpy's many small steps hold the interpreter, so that each searching thread delays the
event loop by some 5 ms and two take longer together than one after the other; and a picture that
brings its decoder down would take the service along. Processes start when they are needed, are
shared by all engines of this process, and end after half a minute without work, or with it.
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
from pathlib import Path
from typing import TypeVar

import cattrs
from attrs import define, field

from memories_async.local.engine.processes.one_shot import command, environment, last_line
from memories_async.local.engine.protocol import EngineFailed, UnreadableImage

__all__ = ["ask"]

T = TypeVar("T")
Question = tuple[object, ...]

_MOST = min(4, os.cpu_count() or 1)
"""Processes at once."""
_TOO_LONG = getattr(signal, "SIGALRM", None)
_SECONDS = 60.0
"""Longest time for an answer; a usual one takes a thousandth of it."""


def ask(
    shape: type[T], question: str, place: Path, *given: object, seconds: float = _SECONDS
) -> T | None:
    """Put a *question* of `answerer` about the index at *place*; None where that cannot be read.

    Raises `UnreadableImage`, `EngineFailed`.
    """
    told = json.loads(_POOL.ask((seconds, question, place, *given)))
    if "unreadable" in told:
        raise UnreadableImage(told["unreadable"])
    if "failed" in told:
        raise EngineFailed(told["failed"])
    return None if told["answer"] is None else cattrs.structure(told["answer"], shape)


class _Process:
    """A process that answers; asked by one thread at a time."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 # `end` closes it
        self._child = subprocess.Popen(  # noqa: S603 # our own program, no shell
            command("pool_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment(),
        )

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, question: Question) -> bytes:
        """Give the line that comes back; an empty one where the process ended instead."""
        assert self._child.stdout is not None
        with suppress(BrokenPipeError):
            # Picture by picture, without a copy, which would hold the interpreter.
            pickle.dump(question, self)
        return self._child.stdout.readline()

    def write(self, piece: bytes) -> None:
        """Send a *piece* past the pipe's buffer, which a fork at the wrong moment would double."""
        assert self._child.stdin is not None
        left = memoryview(piece)
        while left:
            left = left[os.write(self._child.stdin.fileno(), left) :]

    def end(self, *, patience: float = 1.0) -> str | None:
        """See it off; say what it died of, or None where it left by itself for want of work."""
        with self._said, self._child:
            try:
                code = self._child.wait(patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
                code = self._child.wait()
            self._said.seek(0)
            return _cause(code, self._said.read())


@define(eq=False)
class _Pool:
    """The processes that are free; each is asked one thing at a time."""

    _free: list[_Process] = field(factory=list[_Process])
    _turns: threading.BoundedSemaphore = field(factory=lambda: threading.BoundedSemaphore(_MOST))

    def ask(self, question: Question) -> bytes:
        """Put *question* to a process that is free."""
        with self._turns:
            taken = self._take()
            answer = self._put(question, taken) or self._put(question, None)
        if answer is None:
            raise EngineFailed("the processes that answer end at once")
        return answer

    def _put(self, question: Question, taken: _Process | None) -> bytes | None:
        """Ask; None where the process left just then, for want of work."""
        process = taken or _Process()
        try:
            answer = process.ask(question)
        except BaseException:
            process.end(patience=0)
            raise
        if answer:
            self._free.append(process)
            return answer
        cause = process.end()
        if cause is not None:
            raise EngineFailed(cause)
        return None

    def _take(self) -> _Process | None:
        """Give the process that answered last, and holds the index perhaps."""
        with suppress(IndexError):
            while True:
                process = self._free.pop()
                if process.alive:
                    return process
                process.end()
        return None

    def close(self) -> None:
        """End every process that is free."""
        while (process := self._take()) is not None:
            process.end(patience=0)

    def renew(self) -> None:
        """Begin anew in a forked process, where nobody lives who could give his turn back.

        The processes are its parent's: they are no children here, and count as gone.
        """
        self._turns = threading.BoundedSemaphore(_MOST)


def _cause(code: int, said: bytes) -> str | None:
    if code < 0:
        why = "took too long" if -code == _TOO_LONG else f"died (signal {-code})"
        return f"the process that looked at it {why}"
    return f"answering failed: {last_line(said)}" if code else None


_POOL = _Pool()
atexit.register(_POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.renew)
