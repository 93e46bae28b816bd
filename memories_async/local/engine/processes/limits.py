"""Hold this process back: bounded memory, low priority, and no longer life than its parent's."""

from __future__ import annotations

import contextlib
import os
import threading

__all__ = ["bound_memory", "end_with_parent", "step_back"]

_MEMORY = 6 * 2**30
"""Bytes of address space; an hour of video needs about two thousand million."""
_STEPS = 5
"""Enough for an event loop to have its core at once, little enough to get on on a busy machine."""


def bound_memory() -> None:
    """Let a file that unfolds to something huge fail here, where the system can tell."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, most))


def step_back() -> None:
    """Let who waits for an answer go before who indexes a video."""
    if hasattr(os, "nice"):
        os.nice(_STEPS)


def end_with_parent() -> None:
    """End this process when whoever holds its standard input is gone: killed, say, or crashed."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    # Not `sys.stdin`, whose lock would be missed when this process ends first.
    os.read(0, 1)
    os._exit(1)
