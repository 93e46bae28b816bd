"""Paths that no other user can lead elsewhere."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

_MAX_LINKS = 40
"""Links that are followed at most, as many as the system follows."""


def resolve_links(path: str | os.PathLike[str]) -> Path:
    """Follow the symbolic links in *path*, so that all users of a file name it alike.

    Raises `PermissionError` for a link that another user placed in a folder open to everybody.
    """
    resolved = Path(path).absolute()
    for _ in range(_MAX_LINKS):
        link = next(
            (one for one in [*reversed(resolved.parents), resolved] if one.is_symlink()), None
        )
        if link is None:
            break
        if is_planted(link, link.lstat().st_uid):
            raise PermissionError(
                f"{link}: another user's link in a folder that everybody may write to"
            )
        resolved = link.parent / link.readlink() / resolved.relative_to(link)
    return resolved.resolve()


def is_planted(path: Path, owner: int) -> bool:
    """Whether another user may have put *path* where this one was expected to."""
    if sys.platform == "win32":
        return False
    return owner not in {os.geteuid(), 0} and bool(path.parent.stat().st_mode & stat.S_IWOTH)
