"""completion: scripts for three shells, and what they complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

NAME = "memories-async"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_written_for_each_shell(cli, shell):
    """It names the program and the variable that asks it."""
    shown, document = cli("completion", shell), cli("completion", shell, "--json").json

    assert shown.code == 0
    assert NAME in shown.out
    assert "_MEMORIES_ASYNC_COMPLETE" in shown.out
    assert document["script"] in shown.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_accepts_the_script(cli):
    """Its syntax, and the function that completes."""
    script = cli("completion", "bash").out
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p {NAME}"], capture_output=True, text=True, check=True
    )

    assert NAME in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("se", ["serve", "search"]),
        ("videos ", ["delete", "details", "download", "list", "wait"]),
        ("embed --mo", ["--model"]),
    ],
)
def test_commands_and_options_are_completed(words, completed):
    """As the script asks for them."""
    code = (
        "from memories_async.cli._program import program; program.main(prog_name='memories-async')"
    )
    line = f"{NAME} {words}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_MEMORIES_ASYNC_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert [one.partition(",")[2] for one in done.stdout.split()] == completed
