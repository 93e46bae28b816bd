"""`exec` runs a command with the embedded service in place of memories.ai."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request

import pytest

from memories_async.local.engine.fixed import FixedEngine

EMBED = """
import os, sys
from memories_async import blocking
with blocking.Client() as client:
    print(len(client.embeddings.video(sys.argv[1])), "MEMORIES_PROXY" in os.environ)
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def fixed(monkeypatch) -> None:
    """Use the fixed engine."""
    monkeypatch.setattr("memories_async.cli._local.pixel_engine", lambda **_: FixedEngine())


@pytest.fixture
def asset(film, fixed):
    """The id of the film, which is made from its content."""
    from memories_async.local import LocalService

    return LocalService([film], engine=FixedEngine()).library[0].asset_id


def test_a_client_in_the_command_needs_no_settings(cli, film, asset, capfd, monkeypatch):
    """Key, hosts and library are set; proxy variables are removed."""
    monkeypatch.setenv("MEMORIES_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("MEMORIES_API_KEY", "sk-looks-real")

    ended = cli("exec", "--videos", film, "--", sys.executable, "-c", EMBED, asset)

    assert ended.code == 0
    assert capfd.readouterr().out.strip() == "1024 False"
    assert ended.err.strip() == "1 request, 1 point spent"


def test_the_clients_of_the_command_are_as_fast_as_the_service(
    cli, film, fixed, capfd, monkeypatch
):
    """The service has no limits, so its clients keep none, except where a variable sets one."""
    monkeypatch.setenv("MEMORIES_SEARCH_RATE", "2")
    names = ("MEMORIES_SEARCH_RATE", "MEMORIES_EMBEDDINGS_RATE")
    show = f"import os; print(*(os.environ.get(name) for name in {names}))"

    cli("exec", "--", sys.executable, "-c", show)
    free = capfd.readouterr().out.split()
    cli("exec", "--rate", "documented", "--", sys.executable, "-c", show)
    documented = capfd.readouterr().out.split()

    assert free == ["2", "1000000"]
    assert documented == ["2", "None"]


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(5)", 5),
        ("", 0),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", 128 + signal.SIGKILL),
    ],
)
def test_the_exit_code_is_the_commands(cli, fixed, program, code):
    """The code is the one that a shell returns."""
    assert cli("exec", "--", sys.executable, "-c", program).code == code


def test_options_after_the_command_belong_to_the_command(cli, fixed, capfd):
    """Options with the same names as those of exec are passed on, too."""
    program = "import sys; print(sys.argv[1:])"

    cli("exec", "--", sys.executable, "-c", program, "--json", "--rate", "x")

    assert capfd.readouterr().out.strip() == "['--json', '--rate', 'x']"


def test_a_command_that_cannot_be_run_is_reported(cli, fixed):
    """The error is one line with exit code 2."""
    ended = cli("exec", "--", "/nowhere/to/be/found")

    assert ended.code == 2
    assert "/nowhere/to/be/found cannot be run: No such file or directory" in ended.err


def test_exec_needs_a_command(cli):
    """The error says how to give one."""
    assert "COMMAND" in cli("exec").err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exec_passes_signals_on_to_the_command(start, number):
    """The service stays up until the command has ended, and its code is passed on."""
    program = STUBBORN.replace("SIGTERM", number.name)
    process = start("exec", "--", sys.executable, "-c", program)
    assert process.stdout.readline() == "ready\n"

    process.send_signal(number)
    _, told = process.communicate(timeout=20)

    assert process.returncode == 7
    assert told.strip() == "0 requests, 0 points spent"


def test_at_a_terminal_ctrl_c_is_not_passed_on_twice(monkeypatch):
    """The terminal sends the signal to the command itself."""
    from memories_async.cli.exec import forward_signals

    sent = []
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with forward_signals(sent.append):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    assert sent == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_service_stops_after_the_command(cli, fixed, capfd):
    """Its address no longer answers."""
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    cli("exec", "--", sys.executable, "-c", program)
    url = json.loads(capfd.readouterr().out)["MEMORIES_V1_BASE_URL"]

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/_local/state", timeout=5)
