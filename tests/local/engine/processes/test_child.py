"""Child processes are limited in memory and priority, and end with their parent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from memories_async.local.engine.processes import child


def test_memory_is_limited_to_six_gigabytes(monkeypatch):
    """Without an error where the system has no such limit."""
    resource = pytest.importorskip("resource")
    asked = []
    monkeypatch.setattr(resource, "setrlimit", lambda *given: asked.append(given))

    child.bound_memory()
    monkeypatch.setitem(sys.modules, "resource", None)
    child.bound_memory()

    assert asked == [(resource.RLIMIT_AS, (6 * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))]


def test_child_has_a_lower_priority_than_its_parent(monkeypatch):
    """Without an error where the system has no priorities."""
    code = (
        "import os; from memories_async.local.engine.processes.child import lower_priority\n"
        "before = os.nice(0); lower_priority(); print(os.nice(0) - before)"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    monkeypatch.delattr(os, "nice")
    child.lower_priority()

    assert int(said.stdout) == 5


def test_child_ends_when_its_standard_input_closes():
    """As happens when its parent ends."""
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
