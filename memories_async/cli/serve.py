"""`memories-async serve`: run the embedded service until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import frozen

from memories_async._protocol.keys import KEY_VARIABLE
from memories_async._protocol.network import is_loopback
from memories_async.cli._local import (
    EngineOptions,
    RequestRate,
    choose_limits,
    describe_limits,
    engine_options,
    rate_option,
    report_start_errors,
)
from memories_async.cli._options import common
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import RATES
from memories_async.cli._traffic import Traffic

if TYPE_CHECKING:
    from memories_async.local import LocalService

_EXAMPLES = """\
\b
Examples:
  memories-async serve --videos holiday/
  memories-async serve --videos a.mp4 --videos b.mp4
  memories-async serve --videos holiday/ --engine openai \\
      --engine-url http://127.0.0.1:11434/v1 \\
      --engine-model llava

Each start makes a new API key, unless MEMORIES_API_KEY begins with "local-": then it is the key.
"""
_WIDTH = 70
"""Columns for the variables with the rates in one line, so that a terminal breaks none."""
_INTERVAL = 0.2
"""Seconds between two looks at the request log."""


@frozen(kw_only=True)
class ServeOptions:
    """The options of the command."""

    videos: tuple[Path, ...]
    port: int
    host: str
    allow_remote: bool
    rate: RequestRate
    points: int
    callbacks: Literal["off", "loopback", "anywhere"]
    warm: bool
    quiet: bool
    engine: EngineOptions

    def build_service(self) -> LocalService:
        """Make the service; it does not listen yet."""
        from memories_async.local import LocalService

        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not is_loopback(self.host):
            if not self.allow_remote:
                raise ValueError(
                    f"--host {self.host}: other machines could connect; add --allow-remote if that "
                    "is wanted"
                )
            if not key.startswith("local-"):
                raise ValueError(
                    f"--allow-remote needs a key that its users know: set {KEY_VARIABLE} to a text "
                    'that begins with "local-"'
                )
        return LocalService(
            self.videos,
            api_key=key if key.startswith("local-") else None,
            port=self.port,
            host=self.host,
            allow_remote=self.allow_remote,
            engine=self.engine.build(),
            limits=choose_limits(self.rate),
            points=self.points,
            callbacks=self.callbacks,
        )


@click.command(epilog=_EXAMPLES)
@click.option(
    "--videos",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of videos, or one video; may be repeated.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    metavar="N",
    help="The port to listen on; 0 chooses a free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on; any but loopback needs --allow-remote.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let other machines connect, in plain HTTP; needs MEMORIES_API_KEY.",
)
@rate_option("documented")
@click.option(
    "--points",
    type=click.IntRange(0),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="The account's points; each successful call costs one.",
)
@click.option(
    "--callbacks",
    type=click.Choice(["off", "loopback", "anywhere"]),
    default="loopback",
    show_default=True,
    metavar="WHERE",
    help="Where captions may be delivered: off, loopback or anywhere.",
)
@engine_options
@click.option(
    "--warm/--no-warm",
    default=True,
    show_default=True,
    help="Index every video in the background, not when it is first used.",
)
@click.option("--quiet", is_flag=True, help="Do not list the requests.")
@common
@pass_run
def command(
    run: CommandRun,
    /,
    *,
    engine: Any,
    engine_url: str | None,
    engine_model: str | None,
    faces: bool,
    time_limit: float,
    **options: Any,
) -> None:
    """Answer like memories.ai, from your own videos.

    One port serves the three APIs, an account with points, and callbacks. The service runs until
    Ctrl-C. It listens on loopback, where no other machine can reach it, unless --allow-remote says
    otherwise.
    """
    chosen = EngineOptions(
        kind=engine, url=engine_url, model=engine_model, faces=faces, time_limit=time_limit
    )
    asyncio.run(serve(run, ServeOptions(engine=chosen, **options)))


async def serve(run: CommandRun, options: ServeOptions) -> None:
    """Run the service until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends `asyncio.run`
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        with report_start_errors(options.port):
            service = options.build_service()
            # Indexing that is under way ends with the service.
            stack.callback(getattr(getattr(service.engine, "base", service.engine), "close", int))
            await stack.enter_async_context(service)
            await asyncio.to_thread(lambda: service.library)
        announce(run, service)
        indexing = [asyncio.create_task(index_library(run, service))] if options.warm else []
        await watch(run, service, stopped, quiet=options.quiet)
        for task in indexing:
            task.cancel()
        await asyncio.gather(*indexing, return_exceptions=True)
        account = service.account
        requests = count_noun(account.calls, "request")
        points = count_noun(account.points_spent, "point")
        run.screen.note(f"stopped: {requests}, {points} spent")


async def index_library(run: CommandRun, service: LocalService) -> None:
    """Index the library while requests are answered, behind a bar on a terminal."""
    with run.screen.count_bar("indexing") as update:
        await service.warm(progress=update)


def announce(run: CommandRun, service: LocalService) -> None:
    """Show the address, the key, the library and the variables to set."""
    library = [
        {"path": str(one.path), "video_no": one.video_no, "asset_id": one.asset_id}
        for one in service.library
    ]
    environment, screen = service.environment, run.screen
    screen.document({"url": service.url, "environment": environment, "library": library})
    screen.say(f"memories.ai on this machine: {service.url}", style="bold")
    screen.facts(
        [
            ("key", service.api_key),
            ("engine", service.engine.name),
            ("account", f"{service.account.points:,} points"),
            ("limits", describe_limits(service.limits)),
        ]
    )
    screen.say()
    rows = [(one.path.name, one.video_no, one.asset_id) for one in service.library]
    screen.table(("video", "video_no", "asset_id"), rows)
    if not rows:
        screen.say(
            "No videos there, so only uploads and captions by URL can be answered. Stop with Ctrl-C,"
            " add .mp4 files or run `memories-async samples FOLDER`, and start again.",
            style="yellow",
        )
    screen.say("\nIn another terminal:")
    for name, value in environment.items():
        if name not in RATES.values():
            screen.say(f"export {name}={value}", indent=2)
    rates = [f"{name}={environment[name]}" for name in RATES.values() if name in environment]
    for line in wrap(" ".join(rates), _WIDTH):
        screen.say(f"export {line}", indent=2)
    for one in service.library[:1]:
        screen.say(f"memories-async embed {one.asset_id}", indent=2)
    screen.say("\nPress Ctrl-C to stop.")


async def watch(
    run: CommandRun, service: LocalService, stopped: asyncio.Event, *, quiet: bool
) -> None:
    """List the requests as they end, until the command is stopped."""
    traffic = Traffic(service)
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _INTERVAL)
        if not quiet:
            for line in traffic.read_lines():
                run.screen.say(line)
