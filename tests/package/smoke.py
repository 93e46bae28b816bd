"""Try an installed wheel outside the checkout: `python -I tests/package/smoke.py`, as nox -s build does."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from importlib import import_module
from importlib.metadata import distribution, entry_points, version
from pathlib import Path

DATA = {
    *("memories_async/py.typed", "memories_async/local/engine/vision/mean.npy"),
    *(f"memories_async/report/page.{kind}" for kind in ("html.j2", "css", "js")),
    *(f"memories_async/report/{name}.svg.j2" for name in ("timeline", "picture")),
    *(f"memories_async/report/fonts/DejaVuSans{kind}.ttf" for kind in ("", "-Bold")),
    "memories_async/report/fonts/LICENSE.txt",
}
PLUGIN_TEST = """
def test_the_plugin_starts_a_service(memories_service):
    assert memories_service
"""


def run(*command: str, cwd: str | None = None) -> str:
    """Run *command*, show what it says if it fails, and return its output."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def check_files() -> None:
    """The wheel holds what the modules read: the engine's data, and the mark of typed packages."""
    files = {str(file) for file in distribution("memories_async").files or ()}
    missing = DATA - files
    assert not missing, f"not in the wheel: {sorted(missing)}"
    assert not any(file.startswith(("tests/", "docs/")) for file in files)


def check_names() -> None:
    """Every public name is there."""
    package = import_module("memories_async")
    assert "site-packages" in str(package.__file__), f"not the installed one: {package.__file__}"
    for name in package.__all__:
        getattr(package, name)
    for name in (
        "batch",
        "limiter",
        "ledger",
        "receiver",
        "local",
        "cli",
        "events",
        "views",
        "report",
    ):
        module = import_module(f"memories_async.{name}")
        for public in getattr(module, "__all__", ()):
            getattr(module, public)


def check_command() -> None:
    """The command is installed, says its version, and its demo runs."""
    command = str(Path(sysconfig.get_path("scripts"), "memories-async"))
    assert version("memories_async") in run(command, "--version")
    run(command, "demo")


def check_plugin() -> None:
    """Pytest finds the plugin by itself."""
    assert any(one.name == "memories_async" for one in entry_points(group="pytest11"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_plugin.py").write_text(PLUGIN_TEST)
        assert "1 passed" in run(sys.executable, "-I", "-m", "pytest", "-q", folder, cwd=folder)


def main() -> None:
    """Run every check."""
    for check in (check_files, check_names, check_command, check_plugin):
        check()
        print(f"ok: {check.__doc__}")
    print(f"memories_async {version('memories_async')}: the wheel works")


if __name__ == "__main__":
    main()
