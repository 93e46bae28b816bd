"""`memories-async exec`: run a command with the embedded service in place of memories.ai."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from memories_async._protocol.keys import ENGINE_KEY_VARIABLE
from memories_async.cli._local import (
    EngineOptions,
    RequestRate,
    choose_limits,
    engine_options,
    rate_option,
    report_start_errors,
)
from memories_async.cli._options import common
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import CA, PROXY, RATES

_EXAMPLES = """\
\b
Examples:
  memories-async exec --videos holiday/ -- pytest
  memories-async exec --videos a.mp4 -- python app.py
  memories-async exec -- sh -c \\
      'curl -s $MEMORIES_V1_BASE_URL/_local/state'
"""


@click.command(epilog=_EXAMPLES, context_settings={"allow_interspersed_args": False})
@click.option(
    "--videos",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of videos, or one video; may be repeated.",
)
@rate_option("none")
@engine_options
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@common
@pass_run
def command(
    run: CommandRun,
    /,
    *,
    videos: tuple[Path, ...],
    rate: RequestRate,
    engine: Any,
    engine_url: str | None,
    engine_model: str | None,
    faces: bool,
    time_limit: float,
    words: tuple[str, ...],
) -> int:
    """Run COMMAND with the embedded service in place of memories.ai.

    The service starts before COMMAND and stops after it, with a new key and account; MEMORIES_...
    variables lead COMMAND to it, and raise the rates of its clients to those of the service, unless
    yours set them. The exit code is COMMAND's, or 128 plus the number of the signal
    that ended it. --json adds nothing to what COMMAND writes.
    """
    options = EngineOptions(
        kind=engine, url=engine_url, model=engine_model, faces=faces, time_limit=time_limit
    )
    with ExitStack() as stack:
        with report_start_errors():
            from memories_async.local import LocalService

            service = LocalService(videos, engine=options.build(), limits=choose_limits(rate))
            stack.enter_context(service)
        # Nothing of the caller's stands between COMMAND and the service.
        hidden = {PROXY, CA, ENGINE_KEY_VARIABLE}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        rates = {name: kept[name] for name in RATES.values() if name in kept}
        code = run_process(words, kept | service.environment | rates)
        account = service.account
        requests = count_noun(account.calls, "request")
        points = count_noun(account.points_spent, "point")
        run.screen.note(f"{requests}, {points} spent")
    return code


def run_process(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a process to its end; return its exit code as a shell does."""
    try:
        process = subprocess.Popen(words, env=environment)  # noqa: S603  # the command's purpose
    except OSError as error:
        raise click.UsageError(f"{words[0]} cannot be run: {error.strerror or error}") from error
    with process, forward_signals(process.send_signal):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def forward_signals(send: Callable[[int], None]) -> Generator[None]:
    """Send SIGINT and SIGTERM on, but for a Ctrl-C, which the terminal sends to all itself."""

    def forward(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT or not os.isatty(0):
            send(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
