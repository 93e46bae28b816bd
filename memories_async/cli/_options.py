"""Options that every command takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _no_key(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        _refuse_key(context)


def _refuse_key(context: click.Context) -> NoReturn:
    raise click.UsageError(
        "an API key is never taken as an argument, where other users of this machine and the "
        "shell's history would see it: set MEMORIES_API_KEY instead",
        context,
    )


def common(function: F) -> F:
    """Add `--json`, `--debug`, and the refusal of a key, to a command."""
    # The first two are read from the command line before click does, so that they work at once.
    json = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        help="Answer with one JSON document, for a program.",
    )
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, help="Log to stderr, and show tracebacks."
    )
    key = click.option(
        *("--api-key", "--key", "--caption-api-key"),
        is_eager=True,
        expose_value=False,
        hidden=True,
        callback=_no_key,
    )
    return json(debug(key(function)))


dry_run = click.option(
    "--dry-run", is_flag=True, help="Show the call, what it sends and its cost; send nothing."
)
