"""Hides what Windows lacks, uses the core, and prints the result as JSON: see test_windows.py."""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import json
import os
import pkgutil
import sys
import types
from importlib.util import find_spec
from pathlib import Path

# These choose by platform when they are imported, and would miss Windows' own modules.
import aiohttp.web  # noqa: F401
import anyio  # noqa: F401
import av  # noqa: F401
import cattrs  # noqa: F401
import click  # noqa: F401
import cv2  # noqa: F401
import platformdirs  # noqa: F401
import psycopg  # noqa: F401
import pytest  # noqa: F401
import redis.asyncio  # noqa: F401
import rich.console  # noqa: F401

MODULES = ("fcntl", "grp", "pwd", "resource")
FUNCTIONS = ("register_at_fork", "geteuid")
locked = []


def lock(handle, mode, size):
    """Stand in for `msvcrt.locking`, whose lock excludes other handles and ends with its own."""
    assert (mode, size) == (2, 1)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(*error.args) from error  # as Windows does
    locked.append(handle)


def hide():
    """Make this process look like one on Windows to whatever is imported from now on."""
    for name in MODULES:
        sys.modules[name] = None
    for name in (*FUNCTIONS, "fchmod", "getuid", "O_CLOEXEC", "O_NOFOLLOW", "pread", "pwrite"):
        delattr(os, name)
    sys.modules["msvcrt"] = types.SimpleNamespace(locking=lock, LK_NBLCK=2)
    sys.platform = "win32"


def import_all():
    """Import every module of the package."""
    package = importlib.import_module("memories_async")
    imported, failed = [], {}
    for module in pkgutil.walk_packages(package.__path__, "memories_async."):
        if module.name.endswith(".__main__"):
            continue  # it runs the command
        if module.name.startswith("memories_async.ray") and find_spec("ray") is None:
            continue  # Ray is too large to be installed for every run of the tests
        try:
            importlib.import_module(module.name)
            imported.append(module.name)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test shows it
            failed[module.name] = repr(error)
    return {"imported": imported, "failed_imports": failed}


async def send(folder):
    """Search over a scripted transport, with and without a ledger."""
    from callers import Scripted, over
    from samples import FOUND, reply, search_call

    from memories_async import InProcessLimiter, Ledger

    transport, recorded = Scripted([reply(FOUND)] * 2), Scripted([reply(FOUND)] * 2)
    for _ in range(2):
        (clip,) = await over(transport, limiter=InProcessLimiter()).send(search_call())
    with Ledger(folder / "run.db") as ledger:
        for _ in range(2):
            await over(recorded, limiter=InProcessLimiter(), ledger=ledger).send(search_call())
    return {
        "score": clip.score,
        "requests": len(transport.requests),
        "requests_with_ledger": len(recorded.requests),
    }


def lock_twice(folder):
    """Ask whether a lock's process runs, before and after it is released."""
    from memories_async.ledger._process_lock import ProcessLock

    lock, other = ProcessLock(folder / "other.db"), ProcessLock(folder / "other.db")
    name = lock.acquire()
    before = other.is_alive(name)
    lock.release()
    return {"is_alive_while_open": before, "is_alive_after_release": other.is_alive(name)}


def choose_limiters():
    """Build the limiters that Windows' users would get."""
    from memories_async import FileLimiter
    from memories_async.limiter import find_default

    try:
        FileLimiter()
    except NotImplementedError as error:
        message = str(error)
    return {"file_limiter": message, "default_limiter": type(find_default()).__name__}


def main(folder):
    """Print everything that was seen."""
    hide()
    seen = {"hidden": [name for name in MODULES if sys.modules[name] is None]}
    seen["hidden"] += [name for name in FUNCTIONS if not hasattr(os, name)]
    seen |= import_all()
    seen |= asyncio.run(send(folder))
    seen |= lock_twice(folder)
    seen |= choose_limiters()
    seen |= {"locked": len(locked), "files": [path.name for path in folder.iterdir()]}
    sys.platform = "linux"  # the interpreter's own end
    print(json.dumps(seen))


main(Path(sys.argv[1]))
