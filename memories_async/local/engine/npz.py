"""Arrays on disk: plain numpy archives, written atomically and never pickled.

A foreign file in the folder can therefore do no harm; a damaged one counts as missing.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from memories_async.local.engine._cv import np
from memories_async.local.engine.content_cache import write_file

__all__ = ["read", "write"]

T = TypeVar("T")


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write *arrays* to *path*."""
    write_file(path, lambda file: np.savez(file, **arrays))


def read(path: Path, build: Callable[[dict[str, Any]], T]) -> T | None:
    """Read the arrays at *path* and *build* a value from them; None where that cannot be done."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        return build({name: archive[name] for name in archive.files})
    return None
