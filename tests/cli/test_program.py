"""The program around the commands: help, exit codes, errors in one line."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from memories_async import cli as package
from memories_async.cli import _program
from memories_async.cli._exits import MEANINGS


def test_help_names_every_command_and_exit_code(cli):
    """The help of the program is complete."""
    shown = cli("--help").out

    assert all(f"  {name}  " in shown for name in _program.COMMANDS)
    assert all(f"{int(code):>3}  {meaning}" in shown for code, meaning in MEANINGS)


@pytest.mark.parametrize("name", _program.COMMANDS)
def test_the_help_of_every_command_has_examples(cli, name):
    """Help is more than a list of options, and every command takes --json."""
    shown = cli(name, "-h").out

    assert f"memories-async {name} " in shown.partition("Examples:")[2]
    assert "--json" in shown
    assert "--api-key" not in shown


@pytest.mark.parametrize("group", ["batch", "ledger", "videos"])
def test_the_help_of_every_subcommand_has_an_example(cli, group):
    """Users read the help of a subcommand directly."""
    names = import_module(f"memories_async.cli.{group}").command.commands

    for name in names:
        assert (
            f"memories-async {group} {name} " in cli(group, name, "-h").out.partition("Example")[2]
        )


@pytest.mark.parametrize("words", [(), ("batch",), ("ledger",), ("videos",)])
def test_a_group_named_alone_shows_its_help(cli, words):
    """A group without a subcommand is not an error."""
    ended = cli(*words)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == cli(*words, "--help").out


def test_no_command_is_described_by_half_a_sentence(cli):
    """What does not fit beside its name would be cut off."""
    for words in ((), ("batch",), ("ledger",), ("videos",)):
        assert "...\n" not in cli(*words, "--help").out.partition("Commands:")[2]


def test_the_version_is_shown(cli):
    """A bug report can name it."""
    assert cli("--version").out.startswith("memories-async 0.")


def test_a_misspelt_command_gets_a_suggestion(cli):
    """A typing error gets a suggestion."""
    ended = cli("serch", "x.png")

    assert ended.code == 2
    assert "did you mean search? See memories-async --help." in ended.err


def test_the_option_that_is_always_refused_is_not_suggested(cli):
    """No command takes a key."""
    ended = cli("ledger", "summary", "run.db", "--appi-key", "x")

    assert ended.code == 2
    assert "No such option" in ended.err
    assert "--api-key" not in ended.err


def test_an_unknown_command_gets_the_list_of_commands(cli):
    """The message lists the commands."""
    assert "there are demo, serve, search" in cli("zzzz").err


@pytest.mark.parametrize("words", [["--api-key", "local-1"], ["search", "--key=local-1", "x"]])
def test_a_key_as_an_argument_is_refused_and_not_repeated(cli, words):
    """A key on the command line is seen by every user of the machine."""
    ended = cli(*words)

    assert ended.code == 2
    assert "MEMORIES_API_KEY" in ended.err
    assert "local-1" not in ended.err


def test_a_usage_error_is_one_line_that_names_the_help(cli):
    """The message does not print the whole help."""
    ended = cli("search", "x.png", "--prompt", "red")

    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("memories-async search: ")
    assert ended.err.endswith("See memories-async search --help.\n")
    assert ended.out == ""


def test_an_error_is_one_document_where_json_was_asked_for(cli):
    """The document has the message, wherever --json is given."""
    for words in (["--json", "embed", " "], ["embed", " ", "--json"]):
        error = cli(*words).json["error"]

        assert error["kind"] == "UsageError"
        assert error["exit_code"] == 2
        assert error["billed"] == "no"


def test_words_after_a_double_dash_are_no_flags(cli):
    """They are arguments, even if they begin with dashes."""
    assert cli("embed", "--", "--json").out == ""


def test_an_unexpected_error_is_called_a_bug(cli, monkeypatch):
    """An unexpected exception is one line; --debug shows the traceback."""
    monkeypatch.setattr("memories_async.cli.doctor.find_versions", lambda: 1 / 0)

    plain, debug = cli("doctor"), cli("doctor", "--debug")

    assert (plain.code, debug.code) == (70, 70)
    assert "Traceback" not in plain.err
    assert "ZeroDivisionError" in plain.err
    assert "Traceback" in debug.err


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    """One line instead of an import error."""
    monkeypatch.setattr(package, "find_spec", lambda name: None)

    with pytest.raises(SystemExit) as ended:
        package.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "memories-async needs click and rich: pip install 'memories_async[cli]'\n"
    )


def test_runs_as_a_module_and_as_a_script(monkeypatch, capsys):
    """Both start the same program."""
    monkeypatch.setattr(sys, "argv", ["memories-async", "--version"])
    module = subprocess.run(
        [sys.executable, "-m", "memories_async", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    with pytest.raises(SystemExit) as ended:
        package.main()

    assert ended.value.code == 0
    assert module.stdout == capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error():
    """`memories-async doctor | head -1` ends as every Unix tool does."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "memories_async", "doctor"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    os.close(reading)

    _, told = process.communicate()

    assert (process.returncode, told) == (141, "")


def test_a_reader_that_goes_away_inside_this_process(cli, monkeypatch):
    """The same in this process, so that coverage measures it."""

    def gone(*_):
        raise BrokenPipeError

    put = []
    monkeypatch.setattr(_program.os, "dup2", lambda *files: put.append(files))
    monkeypatch.setattr("memories_async.cli._screen.Screen._write", gone)

    assert cli("doctor").code == 141
    os.close(put[0][0])
    assert put[0][1] == 1


def test_an_error_of_click_is_reported(cli, monkeypatch):
    """Such an error has no command."""

    def fail():
        raise click.ClickException("the disk is full")

    monkeypatch.setattr("memories_async.cli.doctor.find_versions", fail)

    assert cli("doctor").err.startswith("memories-async doctor: the disk is full.")


def test_streams_of_another_kind_are_left_alone(monkeypatch):
    """An embedding program may have replaced the streams."""
    from memories_async.cli._program import program

    monkeypatch.setattr(sys, "stdout", io.StringIO())

    with pytest.raises(SystemExit):
        program.main(["--version"])

    assert sys.stdout.getvalue().startswith("memories-async ")


def test_an_unknown_name_is_no_command():
    """What shell completion asks for."""
    from memories_async.cli._program import program

    assert program.get_command(click.Context(program), "nothing") is None


def test_importing_the_package_imports_no_command_line():
    """The extra is not needed by those who do not use it."""
    code = "import memories_async, memories_async.cli, sys, json; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(json.loads(done.stdout))

    assert not loaded & {"click", "rich", "numpy", "cv2", "memories_async.local"}


def list_help_pages():
    """The words of every command and every command of a group."""
    yield ()
    for name in _program.COMMANDS:
        yield (name,)
        command = import_module(f"memories_async.cli.{name}").command
        for sub in getattr(command, "commands", ()):
            yield name, sub


@pytest.mark.parametrize("width", [60, 80])
def test_no_help_is_wider_than_the_terminal(width):
    """Text is wrapped between words, and examples are short."""
    wide = []
    for words in list_help_pages():
        page = CliRunner().invoke(_program.program, [*words, "-h"], terminal_width=width).output

        wide += [line for line in page.splitlines() if len(line) > width]
        assert "memories-\n" not in page

    assert not wide


def test_the_table_of_commands_has_each_commands_summary():
    """`--help` shows the table without importing the commands, so both must agree."""
    for name, text in _program.COMMANDS.items():
        command = import_module(f"memories_async.cli.{name}").command

        assert text.split()[0] == command.get_short_help_str(200).split()[0]


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_little(flag):
    """Each import costs time; neither page needs a client, a command, rich or asyncio."""
    code = (
        "import sys, json\nfrom memories_async import cli\n"
        f"sys.argv = ['memories-async', '{flag}']\ntry: cli.main()\n"
        "except SystemExit: print('\\n' + json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))

    heavy = {"aiohttp", "asyncio", "anyio", "cattrs", "rich", "logging", "ssl", "sqlite3", "numpy"}
    assert not loaded & heavy
    ours = {name for name in loaded if name.startswith("memories_async")}
    assert ours <= {
        *("memories_async", "memories_async._lazy", "memories_async._version"),
        *(f"memories_async.cli{part}" for part in ("", "._program", "._options")),
        *(f"memories_async.cli{part}" for part in ("._exits", "._run")),
    }


def test_the_page_of_the_command_has_every_option() -> None:
    """docs/cli.md lists, for each command, the options of its help and no other."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`.*?`|every command) \| (.*) \|$", page.partition("## All options")[2], re.MULTILINE
    )
    listed = [
        ({*re.findall(r"`(.+?)`", names)}, {*re.findall(r"`(--?[a-z-]+)", told)})
        for names, told in rows
    ]

    for name, command in list_commands():
        group = f"{name.partition(' ')[0]} ..."
        known = [told for names, told in listed if not names or names & {name, group}]
        options = {
            option
            for one in command.params
            if isinstance(one, click.Option) and not one.hidden
            for option in (*one.opts, *one.secondary_opts)
        }
        assert set().union(*known) == options, name


def list_commands(group=None, name=""):
    """Each command that is no group, with its name."""
    from memories_async.cli._program import program

    group = group or program
    context = click.Context(group)
    for one in group.list_commands(context):
        command, whole = group.get_command(context, one), f"{name} {one}".strip()
        if isinstance(command, click.Group):
            yield from list_commands(command, whole)
        else:
            yield whole, command
