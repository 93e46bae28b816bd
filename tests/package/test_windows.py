"""The package works where the modules and functions are missing that Windows lacks, in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("windows_child.py")
HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the child saw: one process for all tests of this file."""
    folder = tmp_path_factory.mktemp("windows")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(HELPERS)])}
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder)],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_child_lacks_what_windows_lacks(seen):
    """Otherwise the other tests here would prove nothing."""
    assert seen["hidden"] == ["fcntl", "grp", "pwd", "resource", "register_at_fork", "geteuid"]


def test_every_module_is_imported(seen):
    """None imports what is missing."""
    assert seen["failed_imports"] == {}
    assert {"memories_async.ledger", "memories_async.local", "memories_async.cli"} <= {
        *seen["imported"]
    }


def test_a_client_sends_with_the_limiter_of_its_process(seen):
    """A search is described, sent and answered."""
    assert seen["score"] == 0.8631
    assert seen["requests"] == 2


def test_a_client_that_was_given_no_limiter_keeps_the_rate_in_its_process(seen):
    """The default limiter is not the file's."""
    assert seen["default_limiter"] == "InProcessLimiter"


def test_a_file_limiter_says_what_it_needs(seen):
    """In one sentence, when it is built."""
    assert seen["file_limiter"] == "FileLimiter needs flock, which Windows lacks: use RedisLimiter"


def test_a_ledger_answers_a_repeat_and_locks_by_msvcrt(seen):
    """The first call was sent, the second answered from the file; the lock file is gone at the end."""
    assert seen["requests_with_ledger"] == 1
    assert seen["locked"] > 0
    assert (seen["is_alive_while_open"], seen["is_alive_after_release"]) == (True, False)
    assert not [name for name in seen["files"] if "-owner-" in name]
