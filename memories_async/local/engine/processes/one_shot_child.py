"""The program of a one-shot child: call one function, then end. Started by `one_shot`."""

from __future__ import annotations

import sys

from memories_async.local.engine.content_cache import CacheFailed
from memories_async.local.engine.processes.child import (
    bound_memory,
    end_with_parent,
    import_function,
    lower_priority,
)
from memories_async.local.engine.processes.one_shot import NOT_WRITTEN, REFUSED
from memories_async.local.engine.protocol import UnreadableVideo

__all__ = ["main"]


def main(task: str, *arguments: str) -> int:
    """Call the function that *task* names; return the exit code."""
    end_with_parent()
    bound_memory()
    lower_priority()
    try:
        import_function(task)(*arguments)
    except UnreadableVideo as error:
        sys.stdout.write(error.reason)
        return REFUSED
    except CacheFailed as error:
        sys.stdout.write(error.reason)
        return NOT_WRITTEN
    return 0
