"""The program: finds the commands, and turns every way to end into one line and an exit code."""

from __future__ import annotations

import difflib
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from memories_async._version import __version__
from memories_async.cli import COMMANDS
from memories_async.cli._exits import MEANINGS, Exit, Problem, problem_of
from memories_async.cli._group import Group
from memories_async.cli._options import common
from memories_async.cli._reply import kept
from memories_async.cli._run import Run
from memories_async.errors import BadReply, MemoriesError

_EXAMPLES = """\
\b
Try it without an account; everything stays on this machine:
  memories-async demo
  memories-async demo holiday.mp4

\b
Ask memories.ai (set MEMORIES_API_KEY; a key is never an argument):
  memories-async search shirt.png --video-no VI62 --prompt "focus on the red shirt"
  memories-async caption holiday.mp4 --callback https://example.com/cb
  memories-async embed re_65 --out holiday.npy

\b
See what a call would send and cost, and what is set up:
  memories-async search shirt.png --video-no VI62 --prompt "red shirt" --dry-run
  memories-async doctor --ping
"""


class _ReaderGone(Exception):
    """Nobody reads stdout any more."""


class Program(Group):
    """The group of commands, each loaded when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """Name the commands in the order in which they are worth reading."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Load a command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"memories_async.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or propose the one that was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {name!r}: {hint}", ctx)
        ctx.ensure_object(Run).name = f"{ctx.command_path} {name}"
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **settings: Any) -> NoReturn:
        """Run, and leave the process with the exit code."""
        given = args[0] if args else settings.pop("args", None)
        words = list(sys.argv[1:] if given is None else given)
        flags = words[: words.index("--")] if "--" in words else words
        run = Run(debug="--debug" in flags)
        run.screen.json = "--json" in flags
        settings.pop("standalone_mode", None)
        sys.exit(_ended(self, run, words, settings))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a vanished reader is not for click to judge, which would exit with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error

    def start(self, words: Sequence[str], run: Run, settings: dict[str, Any]) -> int:
        """Run without catching anything; a command may return its exit code."""
        code = super().main(list(words), standalone_mode=False, obj=run, **settings)
        return code if isinstance(code, int) else Exit.DONE


def _ended(program: Program, run: Run, words: list[str], settings: dict[str, Any]) -> int:
    """Run the program, and tell what went wrong."""
    _prepare(run)
    try:
        return program.start(words, run, settings)
    except _ReaderGone:
        # Whoever read has seen enough; Python would complain about what is left in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.BROKEN_PIPE
    except (click.Abort, KeyboardInterrupt):
        problem = run.interrupted()
    except click.ClickException as error:
        problem = _usage(error, run)
    except MemoriesError as error:
        problem = problem_of(error, again=run.again)
        if isinstance(error, BadReply) and error.body:
            run.screen.note(kept(error.body))
        _trace(run)
    except Exception as error:  # noqa: BLE001  # the last place where a person can be told in a line
        problem = _bug(error)
        _trace(run)
    run.screen.problem(problem, command=run.name)
    return problem.exit


def _prepare(run: Run) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if run.debug:
        logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stderr)
        logging.getLogger("memories_async").setLevel(logging.DEBUG)


def _trace(run: Run) -> None:
    if run.debug:
        sys.stderr.write(traceback.format_exc())


def _usage(error: click.ClickException, run: Run) -> Problem:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        run.name = error.ctx.command_path
    _trace(run)
    return Problem(
        exit=Exit.USAGE,
        kind="UsageError",
        sentence=" ".join(error.format_message().split()).rstrip("."),
        advice=f"See {run.name} --help.",
    )


def _bug(error: Exception) -> Problem:
    return Problem(
        exit=Exit.BUG,
        kind="Bug",
        sentence=f"unexpected {type(error).__name__}: {error}",
        advice="Run it with --debug and report what it prints.",
        billed="maybe",
    )


def _epilog() -> str:
    lines = "\n".join(f"  {int(code):>3}  {meaning}" for code, meaning in MEANINGS)
    return f"{_EXAMPLES}\n\b\nExit codes:\n{lines}"


@click.group(
    cls=Program,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="memories-async %(version)s")
@common
def program() -> None:
    """Understand video with memories.ai: search clips, caption, embed.

    Calls are billed when they succeed. Nothing here pays twice for one call by itself. Settings
    come from MEMORIES_... variables: `memories-async doctor` lists them.
    """


assert isinstance(program, Program)
