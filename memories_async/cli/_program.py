"""The program: loads the commands, and reports every way in which one can end."""

from __future__ import annotations

import difflib
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from memories_async._version import __version__
from memories_async.cli._exits import MEANINGS, Exit, Problem
from memories_async.cli._options import Group, common
from memories_async.cli._run import CommandRun

if TYPE_CHECKING:
    from memories_async.errors import MemoriesError

COMMANDS = {
    "demo": "Search, caption and embed a video on this machine.",
    "serve": "Answer like memories.ai, from your own videos.",
    "search": "Find the clips of a video that match a picture.",
    "embed": "Embed a whole video as one vector.",
    "caption": "Caption a video, in the reply or by callback.",
    "resume": "Continue waiting for a caption; free.",
    "add": "Upload video files, and wait until they are ready.",
    "videos": "List videos, wait for them, delete them; all free.",
    "batch": "Send many calls from a file.",
    "ledger": "Read a ledger, settle unknown calls, export.",
    "vectors": "Compare embeddings: similar videos, duplicates, classes.",
    "report": "Write a ledger as one HTML page, to look at.",
    "exec": "Run a command with the embedded service.",
    "samples": "Write the files that the examples name.",
    "doctor": "Show the settings and where each came from.",
    "completion": "Write the completion script for a shell.",
}
"""The commands and their short help, which `--help` shows without importing any of them."""
_EXAMPLES = """\
\b
Without an account; nothing leaves this machine:
  memories-async demo
  memories-async demo holiday.mp4

\b
With an account (set MEMORIES_API_KEY):
  memories-async add holiday.mp4
  memories-async search shirt.png --video-no VI62 \\
      --prompt "red shirt"
  memories-async embed re_65 --out holiday.npy

\b
What a call would send and cost, and the settings:
  memories-async embed re_65 --dry-run
  memories-async doctor --ping
"""


class _ReaderGone(Exception):
    """The program that read stdout has ended."""


class Program(Group):
    """The top-level group, which imports a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """List the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"memories_async.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, without importing the commands."""
        names = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **settings: Any) -> NoReturn:
        """Run the program, report an error, and exit with the exit code."""
        given = args[0] if args else settings.pop("args", None)
        words = list(sys.argv[1:] if given is None else given)
        flags = words[: words.index("--")] if "--" in words else words
        run = CommandRun(json="--json" in flags, debug="--debug" in flags)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        if run.debug:
            import logging

            logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stderr)
            logging.getLogger("memories_async").setLevel(logging.DEBUG)
        settings.pop("standalone_mode", None)
        try:
            code = super().main(words, standalone_mode=False, obj=run, **settings)
            sys.exit(code if isinstance(code, int) else Exit.DONE)
        except _ReaderGone:
            # Python would write the rest of its buffer at exit, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(Exit.BROKEN_PIPE)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last place to report it
            problem = _describe(error, run)
            run.screen.problem(problem, command=run.name)
            sys.exit(problem.exit)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would exit with 1 where the reader of stdout is gone."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error


def _describe(error: BaseException, run: CommandRun) -> Problem:
    """Describe whatever ended the run; with `--debug`, print its traceback."""
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return run.describe_interrupt()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        run.name = error.ctx.command_path
    if run.debug:
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    if isinstance(error, click.NoSuchOption):
        # --api-key exists only to be refused.
        near = [one for one in error.possibilities or () if one != "--api-key"]
        error = click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx)
    if isinstance(error, click.ClickException):
        return Problem(
            exit=Exit.USAGE,
            kind="UsageError",
            sentence=" ".join(error.format_message().split()).rstrip("."),
            advice=f"See {run.name} --help.",
        )
    from memories_async.errors import MemoriesError

    if isinstance(error, MemoriesError):
        return _describe_call(error, run)
    return Problem(
        exit=Exit.BUG,
        kind="Bug",
        sentence=f"unexpected {type(error).__name__}: {error}",
        advice="Run it with --debug and report the output.",
        billed="maybe",
    )


def _describe_call(error: MemoriesError, run: CommandRun) -> Problem:
    """Describe a failed call, and save a reply that was paid and cannot be read."""
    from memories_async.cli._problems import describe_error
    from memories_async.errors import BadReply

    if isinstance(error, BadReply) and error.body:
        import tempfile

        # mkstemp makes the file readable for its owner only.
        number, name = tempfile.mkstemp(prefix="memories-async-reply-", suffix=".json")
        with os.fdopen(number, "wb") as file:
            file.write(error.body)
        run.screen.note(f"the reply, which was charged, is saved in {name}")
    return describe_error(error, resume_command=run.resume_command)


_EXIT_CODES = "\n".join(f"  {int(code):>3}  {meaning}" for code, meaning in MEANINGS)


@click.group(
    cls=Program,
    epilog=f"{_EXAMPLES}\n\b\nExit codes:\n{_EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="memories-async %(version)s")
@common
def program() -> None:
    """Understand video with memories.ai: search clips, caption, embed.

    A call is charged when it succeeds. No command pays twice for one call unless you ask for it.
    Settings come from MEMORIES_... variables: `memories-async doctor` shows them.
    """


assert isinstance(program, Program)
