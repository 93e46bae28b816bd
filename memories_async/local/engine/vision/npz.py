"""Arrays kept on disk: plain numpy archives, written at once, and built anew where unreadable.

Never pickles, so that a foreign file in the folder can do no harm. Written beside and moved into
place, so that a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from memories_async.local.engine._cv import np
from memories_async.local.engine.content_cache import put

__all__ = ["read", "write"]

T = TypeVar("T")


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write *arrays* to *path* at once."""
    put(path, lambda file: np.savez(file, **arrays))


def read(path: Path, made: Callable[[dict[str, Any]], T]) -> T | None:
    """Give what is *made* of the arrays at *path*; None where there is nothing that can be read."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as found,
    ):
        return made({name: found[name] for name in found.files})
    return None
