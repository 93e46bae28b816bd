"""Run as a program: index one video and write the result, in a process that may be killed.

`python -m memories_async.local.engine.worker VIDEO RESULT`; the reason of a refusal goes to
standard output, with exit code 3.
"""

from __future__ import annotations

import sys
from pathlib import Path

from memories_async.local.engine import cache
from memories_async.local.engine.indexing import index_video
from memories_async.local.engine.protocol import UnreadableVideo

__all__ = ["REFUSED", "main"]

REFUSED = 3


def main(video: str, result: str) -> int:
    """Index *video* into *result*; give the exit code."""
    try:
        cache.save(index_video(Path(video)), Path(result))
    except UnreadableVideo as error:
        sys.stdout.write(error.reason)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
