"""The service in other interpreters: imports, the missing extra, and forks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def test_import_loads_neither_opencv_nor_numpy():
    """The package can be imported without the extra."""
    program = (
        "import sys, memories_async.local; "
        "print(sorted({'cv2', 'numpy'} & {name.split('.')[0] for name in sys.modules}))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"


def test_missing_extra_is_named():
    """When the service is created."""
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
def test_fork_that_ends_leaves_the_service_to_its_parent():
    """The child has no thread that could stop it."""
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
def test_forked_child_cannot_wait_for_its_parents_thread():
    """`reset` raises in the child instead of waiting for ever."""
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
