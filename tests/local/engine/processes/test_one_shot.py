"""A one-shot child ends with the process that started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import sys
from memories_async.local.engine.processes import one_shot
one_shot.run_in_child(
    "memories_async.local.engine.vision.indexing:write_index", *sys.argv[1:], seconds=60
)
"""


def worker_of(pid):
    """Wait for the child of a process, and give its command's file under /proc."""
    for _ in range(2000):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return Path(f"/proc/{children[0]}/cmdline")
        time.sleep(0.005)
    raise AssertionError("no worker was started")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_child_ends_when_its_parent_is_killed(film, tmp_path):
    """A killed parent can end nothing itself."""
    command = [sys.executable, "-c", RUN, str(film), str(tmp_path / "index.npz")]
    with subprocess.Popen(command) as parent:
        worker = worker_of(parent.pid)
        parent.kill()

    # Whoever ended, and waits for somebody to notice, has no command any more.
    while worker.exists() and worker.read_bytes():
        time.sleep(0.005)
    assert not (tmp_path / "index.npz").exists()
