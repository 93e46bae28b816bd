"""The limiter of the command: one rate for all its runs, since a shell's loop makes a process of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from memories_async import FileLimiter, Hosts
from memories_async._protocol.network import is_loopback
from memories_async.limiter._in_process import RateLimiter, in_process


def own_limiter(hosts: Hosts, environment: Mapping[str, str]) -> RateLimiter:
    """Share a file of the user's; a process of its own where that cannot be, or need not.

    A service on this machine is an embedded one or a test: it has no account to lose.
    """
    urls = (hosts.search, hosts.captions, hosts.embeddings)
    if any(is_loopback(urlsplit(url).hostname or "") for url in urls):
        return in_process
    folder = _folder(environment)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        limiter = FileLimiter(folder / "command.limiter")
    except (OSError, NotImplementedError):
        return in_process
    return limiter if os.access(folder, os.W_OK | os.X_OK) else in_process


def _folder(environment: Mapping[str, str]) -> Path:
    # A rate means nothing after a restart, and what runs may well have no home on a local disk.
    runtime = environment.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "memories_async"
    state = environment.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "memories_async"
