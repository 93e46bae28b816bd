"""What decodes hostile files keeps within bounds, and behind those who wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from memories_async.local.engine.processes import child


def test_bounds_memory_within_what_the_system_allows(monkeypatch):
    """Six gigabytes; where there is no such limit, it goes without."""
    resource = pytest.importorskip("resource")
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda *given: asked.append(given))

    child.bound_memory()
    monkeypatch.setitem(sys.modules, "resource", None)
    child.bound_memory()

    assert asked == [(resource.RLIMIT_AS, (6 * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))]


def test_steps_back_behind_its_parent(monkeypatch):
    """Where the system knows of priorities."""
    code = (
        "import os; from memories_async.local.engine.processes.child import lower_priority\n"
        "before = os.nice(0); lower_priority(); print(os.nice(0) - before)"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    monkeypatch.delattr(os, "nice")
    child.lower_priority()

    assert int(said.stdout) == 5


def test_ends_when_its_parent_is_gone():
    """Nobody would stop it, or want what it does."""
    code = (
        "import time; from memories_async.local.engine.processes.child import end_with_parent\n"
        "end_with_parent(); print('begun', flush=True); time.sleep(60)"
    )
    pipe = subprocess.PIPE

    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout.readline() == b"begun\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(10) == 1
