"""`memories-async search`: find the clips of one video that match a picture and a prompt."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from attrs import asdict, evolve, frozen

from memories_async import Client, Clip, clips, videos
from memories_async._protocol.network import is_loopback
from memories_async.cli._calls import run_flow, send
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._exits import Exit
from memories_async.cli._local import report_start_errors
from memories_async.cli._options import account, common, dry_run, raise_usage_errors
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import Screen, clean
from memories_async.cli._settings import Configuration
from memories_async.cli.report import check_page, check_place

if TYPE_CHECKING:
    from memories_async.report import Report

_EXAMPLES = """\
\b
Examples:
  memories-async search shirt.png --video-no VI62 \\
      --prompt "focus on the red shirt"
  memories-async search shirt.png --video-no VI62 \\
      --prompt "red shirt" --dry-run
  memories-async search shirt.png --video-no VI62 \\
      --prompt "red shirt" --json | jq .clips
  memories-async search shirt.png --video-no VI62 \\
      --prompt "red shirt" --picture found.png \\
      --video holiday.mp4
  memories-async search shirt.png --video-no VI62 \\
      --prompt "red shirt" --report found.html
"""


_TOLERANCE, _SHARE = 1.5, 0.02
"""Seconds, and share of its length, by which the file of a video may be longer or shorter."""
_TIMEOUT = 5.0
"""Seconds for the embedded service to list its videos."""


@click.command(epilog=_EXAMPLES)
@click.argument("image")
@click.option(
    "--video-no",
    required=True,
    metavar="ID",
    help="The video, such as VI6252; `memories-async add` prints it.",
)
@click.option("--prompt", required=True, metavar="TEXT", help="What to look for, in English.")
@click.option(
    "--unique-id",
    default="default",
    show_default=True,
    metavar="ID",
    help="The scope that the video was added to.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="OUT",
    help="Draw the answer into this .png or .jpg file; needs the video's file.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="OUT",
    help="Write the answer as this .html page; clips play with the video's file.",
)
@click.option(
    "--embed-clips", is_flag=True, help="Put the clips into the page, so that it stands alone."
)
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The video's file, for --picture and --report; not needed with the embedded service.",
)
@account
@dry_run
@common
@pass_run
def command(  # noqa: PLR0917  # click passes them by name
    run: CommandRun,
    image: str,
    video_no: str,
    prompt: str,
    unique_id: str,
    picture: Path | None,
    page: Path | None,
    video: Path | None,
    *,
    embed_clips: bool,
    dry_run: bool,
) -> int:
    """Find the clips of a video that match IMAGE and a prompt.

    IMAGE is a .jpg, .png, .gif, .bmp or .webp file of at most 20 MB. A search is charged when it
    succeeds, also when no clip matches.
    """
    with raise_usage_errors():
        call = clips.search(image, prompt=prompt, video_no=video_no, unique_id=unique_id)
    configuration = Configuration.read(run.account)
    if dry_run:
        show_dry_run(run.screen, call, configuration)
        return Exit.DONE
    outputs = Outputs(picture=picture, page=page, video=video, embed_clips=embed_clips)
    if picture is not None or page is not None:
        # Whatever is missing is reported before the search is charged.
        outputs = outputs.check(Path(image), video_no, configuration.hosts.search)
        if video is not None:
            known = read_length(run, configuration, video_no, unique_id)
            check_length(video, outputs.length, video_no, known)
    found = send(run, call, configuration)
    run.screen.document({"video_no": video_no, "clips": [asdict(clip) for clip in found]})
    if not found:
        run.screen.say("No clip matches.")
    run.screen.table(
        ("start (s)>", "end (s)>", "score>"),
        [(f"{c.start_time:.2f}", f"{c.end_time:.2f}", f"{c.score:.3f}") for c in found],
    )
    is_done = outputs.write(run.screen, Path(image), prompt, video_no, found)
    return Exit.DONE if is_done else Exit.NO_RESULT


@frozen(kw_only=True)
class Outputs:
    """The files that an answer is written to, and what they need."""

    picture: Path | None
    page: Path | None
    video: Path | None
    embed_clips: bool
    length: float = 0.0
    """Of the video's file in seconds, 0 where it is not known."""

    def check(self, image: Path, video_no: str, url: str) -> Outputs:
        """Find the video's file, and check that all can be written. Raises `click.UsageError`."""
        if self.page is not None:
            check_page("--report", self.page)
        video = self.video or find_video(url, video_no)
        if self.picture is not None:
            check_place("--picture", self.picture, (".png", ".jpg", ".jpeg"))
            if video is None:
                raise click.UsageError(f"--picture needs the file of {video_no}: add --video FILE")
        with report_start_errors():
            from memories_async.report._picture import load_renderer
            from memories_async.report._pictures import Pictures

            pictures = Pictures()
            if self.picture is not None and video is not None:
                load_renderer()
                pictures.shrink(image, width=64)
                pictures.take_stills(video, [0.0], width=64)
        if pictures.unreadable:
            names = ", ".join(sorted(pictures.unreadable))
            raise click.UsageError(f"--picture cannot be drawn: {names} cannot be decoded")
        return evolve(self, video=video, length=0.0 if video is None else pictures.measure(video))

    def write(
        self, screen: Screen, image: Path, prompt: str, video_no: str, found: tuple[Clip, ...]
    ) -> bool:
        """Write the answer to the files; return whether that worked."""

        def build() -> Report:
            from memories_async.report import Report

            return Report.of_search(
                image,
                prompt=prompt,
                video_no=video_no,
                clips=found,
                video=self.video,
                embed_clips=self.embed_clips,
            )

        is_done = True
        if (picture := self.picture) is not None:
            is_done = write_file(screen, "picture", lambda: build().write_picture(picture))
        if (page := self.page) is not None:
            is_done = write_file(screen, "page", lambda: build().write(page)) and is_done
        return is_done


def find_video(url: str, video_no: str) -> Path | None:
    """Ask the embedded service at *url* for the file of a video; None where it has none."""
    if not is_loopback(urlsplit(url).hostname or ""):
        return None
    # No proxy: the request stays on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/_local/library", timeout=_TIMEOUT) as reply:
            library: Any = json.load(reply)
        path = next(Path(one["path"]) for one in library if one["video_no"] == video_no)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None  # an unknown video, or another server
    return path if path.is_file() else None


def check_length(video: Path, length: float, video_no: str, known: float | None) -> None:
    """Check that a file is as long as the service says. Raises `click.UsageError`."""
    if known and length and abs(known - length) > max(_TOLERANCE, _SHARE * known):
        raise click.UsageError(
            f"--video {video.name} is not {video_no}: it is {length:.1f} s long, and "
            f"{video_no} {known:.1f} s; nothing was charged"
        )


def read_length(
    run: CommandRun, configuration: Configuration, video_no: str, unique_id: str
) -> float | None:
    """Ask the service for the length of a video, which is free; None where it does not know it."""

    async def read(client: Client) -> float | None:
        found = await client.send(videos.metadata(video_no, unique_id=unique_id))
        return None if found is None else found.duration

    with run.screen.status("videos.metadata ..."):
        return run_flow(run, read, configuration)


def write_file(screen: Screen, kind: str, write: Callable[[], Path]) -> bool:
    """Write a file of *kind*; return whether that worked."""
    try:
        with screen.status(f"writing the {kind} ..."):
            out = write()
    except OSError as error:
        # The answer is on stdout already, with --json too.
        screen.err.print(clean(f"the {kind} could not be written: {error}"), soft_wrap=True)
        return False
    screen.note(f"{kind} written to {out}")
    return True
