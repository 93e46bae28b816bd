"""`memories-async demo`: the three calls on a real video, without an account and without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import click
from attrs import define, field

from memories_async import Caption, Client, Ledger
from memories_async.cli import _demo_report as report
from memories_async.cli._calls import CallObserver
from memories_async.cli._demo_report import DemoResults, DemoVideo, Step
from memories_async.cli._local import cache_folder, pixel_engine, report_start_errors
from memories_async.cli._options import common
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli.report import check_page
from memories_async.cli.samples import read_frame, render_film, write_picture
from memories_async.errors import CaptionFailed, Refused
from memories_async.receiver import MemoryStore, Receiver

if TYPE_CHECKING:
    from memories_async.local import LocalService
    from memories_async.local.engine.protocol import Engine

T = TypeVar("T")
_EXAMPLES = """\
\b
Examples:
  memories-async demo
  memories-async demo holiday.mp4
  memories-async demo a.mp4 --json | jq .search.clips
  memories-async demo holiday.mp4 --report demo.html
"""
_TIMEOUT = 300.0


@click.command(epilog=_EXAMPLES)
@click.argument(
    "video", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="OUT",
    help="Write what was asked, found and spent as this .html page; without it, into the cache.",
)
@common
@pass_run
def command(run: CommandRun, video: Path | None, page: Path | None) -> None:
    """Search, caption and embed VIDEO on this machine.

    Starts the embedded service, cuts a frame out of the video, searches the video for it, captions
    the video by callback, and embeds it. Without VIDEO, a film is rendered first. A call that the
    service refuses, such as a caption of a video shorter than 20 seconds, is shown with its reason.
    """
    if page is not None:
        check_page("--report", page)
    asyncio.run(run_demo(run, video, page))


async def run_demo(run: CommandRun, video: Path | None, page: Path | None) -> None:
    """Start the service, make the three calls, and show the results."""
    screen = run.screen
    screen.say("Three calls to the embedded service; nothing leaves this machine.", style="bold")
    folder = cache_folder() / "demo"
    async with AsyncExitStack() as stack:
        with report_start_errors():
            folder.mkdir(parents=True, exist_ok=True)
            with screen.status("preparing the video ..."):
                film = await asyncio.to_thread(render_film, folder) if video is None else video
            from memories_async.local import LocalService

            engine = pixel_engine()
            service = await stack.enter_async_context(LocalService([film], engine=engine))
            receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
            await stack.enter_async_context(receiver.serve())
        # A new one each time: the demonstration shows calls, not answers of the last one.
        ledger = Ledger(Path(stack.enter_context(TemporaryDirectory()), "demo.db"))
        stack.enter_context(ledger)
        client = service.client(receiver=receiver, ledger=ledger, observers=(CallObserver(run),))
        await stack.enter_async_context(client)
        with screen.status("indexing the video ..."):
            subject = await asyncio.to_thread(prepare_video, service, engine, folder)
        report.show_video(screen, subject, service)
        demo = Demo(run, client, service, receiver, subject)
        results = await demo.make_calls()
        report.show_totals(screen, results, service)
        if page is not None or find_spec("jinja2") is not None:
            await asyncio.to_thread(write_page, demo, ledger, page or folder / "report.html")
        screen.document(report.build_document(subject, results, service))


def write_page(demo: Demo, ledger: Ledger, page: Path) -> None:
    """Write the demonstration's ledger as the page *page*. Raises `click.UsageError`."""
    from memories_async.report import Report, index_media

    video = demo.subject.video
    media = {
        **index_media([demo.subject.picture, video.path]),
        video.video_no: video.path,
        video.asset_id: video.path,
    }
    # Browsers do not play the rendered film's codec; embedded clips are encoded anew.
    made = Report(
        ledger, media=media, captions=demo.captions, title="Demonstration", embed_clips=True
    )
    try:
        made.write(page)
    except OSError as error:
        raise click.UsageError(f"--report: {error}") from error
    demo.run.screen.say("\nThe results as a page, with clips that play:", style="bold")
    demo.run.screen.say(str(page.absolute()), indent=3)


def prepare_video(service: LocalService, engine: Engine, folder: Path) -> DemoVideo:
    """Index the service's video, and cut a frame from the middle of its longest scene."""
    from memories_async.local.engine.protocol import EngineError

    (video,) = service.library
    start = time.perf_counter()
    try:
        # The engine caches the index on disk, where the service finds it.
        facts = engine.index(video.path).facts
    except EngineError as error:
        raise click.UsageError(f"{video.path.name}: {error.reason}") from error
    indexed = time.perf_counter() - start
    longest = max(facts.shots, key=lambda shot: shot.end_time - shot.start_time)
    middle = (longest.start_time + longest.end_time) / 2
    frame = read_frame(video.path, at=middle)
    picture = folder / f"{video.path.stem}-{frame.time:.2f}s.jpg"
    write_picture(picture, frame.picture)
    return DemoVideo(video=video, facts=facts, picture=picture, time=frame.time, indexed=indexed)


@define(eq=False)
class Demo:
    """Makes the three calls, and shows each result as it comes."""

    run: CommandRun
    client: Client
    service: LocalService
    receiver: Receiver
    subject: DemoVideo
    captions: dict[str, Caption] = field(factory=dict[str, Caption], init=False)
    """The caption by its task."""

    async def make_calls(self) -> DemoResults:
        """Search, caption and embed."""
        client, video, screen = self.client, self.subject.video, self.run.screen
        search = await self._measure(
            "clips.search",
            lambda: client.clips.search(
                self.subject.picture, prompt=report.PROMPT, video_no=video.video_no
            ),
        )
        report.show_search(screen, search, self.subject)
        caption = await self._measure("captions.upload_file", self.caption)
        report.show_caption(screen, caption)
        embedding = await self._measure(
            "embeddings.video", lambda: client.embeddings.video(video.asset_id)
        )
        report.show_embedding(screen, embedding)
        return DemoResults(search=search, caption=caption, embedding=embedding)

    async def caption(self) -> Caption:
        """Submit the video, and wait for the callback."""
        task = await self.client.captions.upload_file(
            self.subject.video.path,
            user_prompt="Summarize what happens in the video.",
            system_prompt="You are a video understanding system that describes what it sees.",
        )
        caption = await self.receiver.wait(task, timeout=_TIMEOUT)
        self.captions[task.task_id] = caption
        return caption

    async def _measure(self, call: str, send: Callable[[], Awaitable[T]]) -> Step[T]:
        """Send a call; return its answer or refusal, its time and its cost."""
        spent, start = self.service.account.points_spent, time.perf_counter()
        answer, refusal = None, None
        try:
            with self.run.screen.status(f"{call} ..."):
                answer = await send()
        except (Refused, CaptionFailed) as error:
            refusal = error.message
        except ValueError as error:
            # The client's own check of the documented limits.
            refusal = f"not sent: {error}"
        return Step(
            call=call,
            seconds=time.perf_counter() - start,
            points=self.service.account.points_spent - spent,
            answer=answer,
            refusal=refusal,
        )
