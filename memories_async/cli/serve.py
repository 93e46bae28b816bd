"""`memories-async serve`: the embedded service, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from attrs import frozen

from memories_async._protocol.keys import CAPTION_KEY_VARIABLE, KEY_VARIABLE
from memories_async.cli._engines import EngineWish, engine_options
from memories_async.cli._local import rate_option, starting
from memories_async.cli._options import common
from memories_async.cli._run import Run, pass_run
from memories_async.cli._settings import HOSTS
from memories_async.cli._traffic import Traffic

if TYPE_CHECKING:
    from memories_async.local import LocalService

_EXAMPLES = """\
\b
Examples:
  memories-async serve --videos holiday/
  memories-async serve --videos a.mp4 --videos b.mp4 --port 0 --rate none
  memories-async serve --videos holiday/ --engine openai \\
      --engine-url http://127.0.0.1:11434/v1 --engine-model llava

Its key is made up at each start; MEMORIES_API_KEY is taken instead where it begins with "local-".
"""
_LOOK = 0.2
"""Seconds between two looks at what was asked."""


@frozen(kw_only=True)
class _Wish:
    """What was asked for on the command line."""

    videos: tuple[Path, ...]
    port: int
    rate: float | None
    points: int
    callbacks: Literal["off", "loopback", "anywhere"]
    warm: bool
    quiet: bool
    engine: EngineWish


@click.command(epilog=_EXAMPLES)
@click.option(
    "--videos",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of videos, or one video; several times if need be.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    metavar="N",
    help="Where it listens; 0 takes a free port.",
)
@click.option("--host", type=click.Choice(["127.0.0.1", "localhost"]), help="Loopback only.")
@rate_option("1")
@click.option(
    "--points",
    type=click.IntRange(0),
    default=1_000_000,
    show_default="1,000,000",
    metavar="N",
    help="What the account has; each call that succeeds takes one.",
)
@click.option(
    "--callbacks",
    type=click.Choice(["off", "loopback", "anywhere"]),
    default="loopback",
    show_default=True,
    help="Where captions may be delivered to.",
)
@engine_options
@click.option("--warm", is_flag=True, help="Index every video at once, not at its first use.")
@click.option("--quiet", is_flag=True, help="Do not list the requests.")
@common
@pass_run
def command(
    run: Run,
    /,
    *,
    host: str | None,  # noqa: ARG001  # one place only
    engine: Any,
    engine_url: str | None,
    engine_model: str | None,
    **wish: Any,
) -> None:
    """Answer like memories.ai, from your own videos.

    One port speaks the three APIs, keeps an account with points, and calls back. It runs until
    Ctrl-C and listens on loopback only: nobody else can reach it.
    """
    made = EngineWish(kind=engine, url=engine_url, model=engine_model)
    asyncio.run(_serve(run, _Wish(engine=made, **wish)))


async def _serve(run: Run, wish: _Wish) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        with starting(wish.port):
            service = await stack.enter_async_context(_service(wish))
            await asyncio.to_thread(lambda: service.library)
        _announce(run, service)
        if wish.warm:
            with run.screen.waiting("indexing ..."):
                await service.warm()
        await _watch(run, service, stopped, quiet=wish.quiet)
        account = service.account
        run.screen.note(f"stopped: {account.calls} requests, {account.points_spent} points spent")


def _service(wish: _Wish) -> LocalService:
    from memories_async.local import LocalService

    key = os.environ.get(KEY_VARIABLE, "")
    return LocalService(
        wish.videos,
        api_key=key if key.startswith("local-") else None,
        port=wish.port,
        engine=wish.engine.engine(),
        limits=wish.rate,
        points=wish.points,
        callbacks=wish.callbacks,
    )


def exports(service: LocalService) -> dict[str, str]:
    """The environment with which every command and client finds *service*."""
    return {
        KEY_VARIABLE: service.api_key,
        CAPTION_KEY_VARIABLE: service.caption_api_key,
        **dict.fromkeys(HOSTS.values(), service.url),
    }


def _announce(run: Run, service: LocalService) -> None:
    library = [
        {"path": str(one.path), "video_no": one.video_no, "asset_id": one.asset_id}
        for one in service.library
    ]
    run.screen.document({"url": service.url, "environment": exports(service), "library": library})
    run.screen.say(f"memories.ai on this machine: {service.url}", style="bold")
    run.screen.facts(
        [
            ("key", service.api_key),
            ("engine", service.engine.name),
            ("account", f"{service.account.points:,} points"),
            ("limits", _limits(service)),
        ]
    )
    run.screen.say()
    rows = [(one.path.name, one.video_no, one.asset_id) for one in service.library]
    run.screen.table(("video", "video_no", "asset_id"), rows)
    run.screen.say("\nIn another terminal:")
    for name, value in exports(service).items():
        run.screen.say(f"export {name}={value}", indent=2)
    for one in service.library[:1]:
        run.screen.say(f"memories-async embed {one.asset_id}", indent=2)
    run.screen.say("\nCtrl-C stops it.")


def _limits(service: LocalService) -> str:
    rates = {f"{rate.count / rate.per:g}" for rate in service.limits.values()}
    return f"{rates.pop()} a second for each kind of call" if rates else "none"


async def _watch(run: Run, service: LocalService, stopped: asyncio.Event, *, quiet: bool) -> None:
    traffic = Traffic(service)
    while not stopped.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _LOOK)
        if not quiet:
            for line in traffic.news():
                run.screen.say(line)
