"""The program of a pool's child: answer questions, one after another. Started by `pool`.

A question is a pickle from the process that started this one; an answer is a line of JSON, so that
nothing that a picture may do to this process reaches the other.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import sys
from typing import Any, BinaryIO

import attrs

from memories_async.local.engine.processes.child import bound_memory, import_function
from memories_async.local.engine.protocol import EngineError, UnreadableImage

__all__ = ["answer", "main"]

_PATIENCE = 30.0
"""Seconds without a question after which this process ends by itself."""


def main() -> int:
    """Answer until the parent closes the pipe, or asks nothing for a while."""
    # Ctrl-C is for the program that asks; its terminal sends it to this process as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bound_memory()
    questions, answers = sys.stdin.buffer, _reserve_output()
    while _wait_for_question(questions):
        try:
            seconds, function, *arguments = pickle.load(questions)  # noqa: S301 # from our parent
        except EOFError:
            break
        _set_time_limit(seconds)
        answers.write(json.dumps(answer(function, *arguments)).encode() + b"\n")
        answers.flush()
        _set_time_limit(0)
    return 0


def answer(function: str, *arguments: Any) -> dict[str, Any]:
    """Call *function* with *arguments*; say why where that fails."""
    try:
        found: Any = import_function(function)(*arguments)
        return {"answer": attrs.asdict(found) if attrs.has(found.__class__) else found}
    except UnreadableImage as error:
        return {"unreadable": error.reason}
    except EngineError as error:
        return {"failed": error.reason}
    except Exception as error:  # noqa: BLE001 # told to who asked, who has nowhere else to look
        return {"failed": f"answering failed: {type(error).__name__}: {error}"}


def _reserve_output() -> BinaryIO:
    """Keep standard output for answers: what a decoder prints there goes to the errors instead."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _wait_for_question(questions: BinaryIO) -> bool:
    """Wait for a question or for the pipe's end; False after a long silence."""
    if sys.platform == "win32":
        return True  # only sockets can be waited for there
    return bool(select.select([questions], [], [], _PATIENCE)[0])


def _set_time_limit(seconds: float) -> None:
    """Let the system end this process after *seconds*, wherever it hangs; 0 lifts the limit."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)
