"""The service in other interpreters: what it imports, what it says without the extra, and forks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def test_importing_the_service_loads_neither_opencv_nor_numpy():
    """The package is importable without the extra."""
    program = (
        "import sys, memories_async.local; "
        "print(sorted({'cv2', 'numpy'} & {name.split('.')[0] for name in sys.modules}))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"


def test_says_what_to_install():
    """Without the extra there is one clear sentence, when the service is made."""
    program = (
        "import sys; sys.modules['cv2'] = None\n"
        "from memories_async.local import LocalService\n"
        "try:\n    LocalService()\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "memories_async[local]" in said.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
def test_a_fork_that_ends_leaves_the_service_to_its_parent():
    """It has no thread that could stop it, and would wait for ever."""
    code = (
        "import os, sys; from urllib.request import urlopen\n"
        "from memories_async.local import LocalService\n"
        "from memories_async.local.engine.fixed import FixedEngine\n"
        "with LocalService(engine=FixedEngine()) as service:\n"
        "    fork = os.fork()\n"
        "    if not fork:\n"
        "        sys.exit(7)\n"
        "    status = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])\n"
        "    print(status, urlopen(service.url + '/_local/state').status)"
    )

    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert said.stdout == "7 200\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
def test_a_forked_child_cannot_wait_for_the_parents_thread():
    """`run` and `reset` raise in the child instead of waiting for ever."""
    code = (
        "import os; from memories_async.local import LocalService\n"
        "from memories_async.local.engine.fixed import FixedEngine\n"
        "with LocalService(engine=FixedEngine()) as service:\n"
        "    fork = os.fork()\n"
        "    if not fork:\n"
        "        try: service.reset()\n"
        "        except RuntimeError as error: os._exit(5 if 'parent' in str(error) else 1)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )

    assert said.stdout.split() == ["5"]
