"""`memories-async completion`: write the script with which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from memories_async.cli._options import common
from memories_async.cli._run import CommandRun, pass_run

_EXAMPLES = """\
\b
Examples:
  eval "$(memories-async completion bash)"   # in .bashrc
  eval "$(memories-async completion zsh)"    # in .zshrc
  memories-async completion fish | source
"""


@click.command(epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
@pass_run
def command(run: CommandRun, shell: str) -> None:
    """Write the completion script for SHELL: bash, zsh or fish."""
    kind = get_completion_class(shell)
    program = click.get_current_context().find_root().command
    assert kind is not None
    script = kind(program, {}, "memories-async", "_MEMORIES_ASYNC_COMPLETE")
    # Formatted here: click's own method starts a shell to ask for its version.
    text = script.source_template % script.source_vars()
    run.screen.document({"shell": shell, "script": text})
    if not run.json:
        click.echo(text)
