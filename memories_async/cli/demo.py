"""`memories-async demo`: the three calls on a real video, without an account and without a network."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memories_async.cli import _demo_show as show
from memories_async.cli._demo_steps import Findings, Stage, prepared
from memories_async.cli._film import rendered
from memories_async.cli._local import cache_folder, pixel_engine, starting
from memories_async.cli._options import common
from memories_async.cli._run import Run, pass_run
from memories_async.receiver import MemoryStore, Receiver

if TYPE_CHECKING:
    from memories_async.local import LocalService
    from memories_async.local.engine.protocol import Engine

_EXAMPLES = """\
\b
Examples:
  memories-async demo
  memories-async demo holiday.mp4
  memories-async demo holiday.mp4 --json | jq .search.clips
"""


@click.command(epilog=_EXAMPLES)
@click.argument(
    "video", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@common
@pass_run
def command(run: Run, video: Path | None) -> None:
    """Search, caption and embed VIDEO on this machine.

    Starts the embedded service, cuts a picture out of the video, and has the client find it again,
    caption the video by callback, and embed it. Without VIDEO a film is rendered. What the service
    refuses, such as a caption of a video shorter than 20 seconds, is shown as its answer.
    """
    asyncio.run(_demo(run, video))


async def _demo(run: Run, video: Path | None) -> None:
    show.opening(run.screen)
    folder = cache_folder() / "demo"
    async with AsyncExitStack() as stack:
        with starting():
            folder.mkdir(parents=True, exist_ok=True)
            with run.screen.waiting("preparing the video ..."):
                film = await asyncio.to_thread(rendered, folder) if video is None else video
            engine = pixel_engine()
            service = await stack.enter_async_context(_service(film, engine))
            receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
            await stack.enter_async_context(receiver.serve())
        client = service.client(receiver=receiver, observers=(run,))
        await stack.enter_async_context(client)
        with run.screen.waiting("indexing the video ..."):
            scene = await asyncio.to_thread(prepared, service, engine, folder)
        show.scene(run.screen, scene, service)
        stage = Stage(client=client, service=service, receiver=receiver, scene=scene)
        findings = await _perform(run, stage)
        show.closing(run.screen, findings, service)
        run.screen.document(show.document(scene, findings, service))


async def _perform(run: Run, stage: Stage) -> Findings:
    with run.screen.waiting("searching ..."):
        search = await stage.search()
    show.search(run.screen, search, stage.scene)
    with run.screen.waiting("captioning ..."):
        caption = await stage.caption()
    show.caption(run.screen, caption)
    with run.screen.waiting("embedding ..."):
        embedding = await stage.embed()
    show.embedding(run.screen, embedding)
    return Findings(search=search, caption=caption, embedding=embedding)


def _service(film: Path, engine: Engine) -> LocalService:
    from memories_async.local import LocalService

    return LocalService([film], engine=engine)
