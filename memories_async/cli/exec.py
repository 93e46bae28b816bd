"""`memories-async exec`: a command that meets the embedded service where it expects memories.ai."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from memories_async._protocol.keys import ENGINE_KEY_VARIABLE
from memories_async.cli._engines import EngineWish, engine_options
from memories_async.cli._local import rate_option, starting
from memories_async.cli._options import common
from memories_async.cli._run import Run, pass_run
from memories_async.cli._settings import CA, PROXY
from memories_async.cli.serve import exports

if TYPE_CHECKING:
    from memories_async.local import LocalService

_EXAMPLES = """\
\b
Examples:
  memories-async exec --videos holiday/ -- pytest
  memories-async exec --videos a.mp4 --rate 1 -- python app.py --verbose
  memories-async exec -- sh -c 'curl -s $MEMORIES_V1_BASE_URL/_local/state'
"""


@click.command(epilog=_EXAMPLES, context_settings={"allow_interspersed_args": False})
@click.option(
    "--videos",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of videos, or one video; several times if need be.",
)
@rate_option("none")
@engine_options
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@common
@pass_run
def command(
    run: Run,
    /,
    *,
    videos: tuple[Path, ...],
    rate: float | None,
    engine: Any,
    engine_url: str | None,
    engine_model: str | None,
    words: tuple[str, ...],
) -> int:
    """Run COMMAND with the embedded service in place of memories.ai.

    The MEMORIES_... variables of COMMAND name a service that starts before it and stops after it,
    with a key and an account of its own. The exit code is COMMAND's; 128 and the signal's number
    where a signal ended it. What COMMAND says is its own: --json adds nothing.
    """
    wish = EngineWish(kind=engine, url=engine_url, model=engine_model)
    with ExitStack() as stack:
        with starting():
            service = stack.enter_context(_service(videos, rate, wish))
            environment = _environment(service)
        code = _ended(words, environment)
        account = service.account
        run.screen.note(f"{account.calls} requests, {account.points_spent} points spent")
    return code


def _service(videos: tuple[Path, ...], rate: float | None, wish: EngineWish) -> LocalService:
    from memories_async.local import LocalService

    return LocalService(videos, engine=wish.engine(), limits=rate)


def _environment(service: LocalService) -> dict[str, str]:
    """Give this process's environment, with nothing between the command and *service*."""
    ours = {PROXY, CA, ENGINE_KEY_VARIABLE}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | exports(service)


def _ended(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end, and give the exit code as a shell does."""
    try:
        process = subprocess.Popen(words, env=environment)  # noqa: S603  # what it is for
    except OSError as error:
        raise click.UsageError(f"{words[0]} cannot be run: {error.strerror or error}") from error
    with process, _passing_on(process.send_signal):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _passing_on(send: Callable[[int], None]) -> Generator[None]:
    """Let the command decide what a signal means; Ctrl-C reaches it from the terminal anyway."""

    def pass_on(number: int, _: FrameType | None) -> None:
        if number != signal.SIGINT or not os.isatty(0):
            send(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
