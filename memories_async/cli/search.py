"""`memories-async search`: find the clips of one video that match a picture and a prompt."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from attrs import asdict

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
from memories_async.cli.report import check_page

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
    if page is not None:
        check_page("--report", page)
    if picture is not None:
        # Whatever is missing for the picture is reported before the search is charged.
        is_named = video is not None
        video = video or find_video(configuration.hosts.search, video_no)
        length = check_picture(Path(image), video, picture)
        if is_named:
            known = read_length(run, configuration, video_no, unique_id)
            if known and abs(known - length) > max(_TOLERANCE, _SHARE * known):
                raise click.UsageError(
                    f"--video {video.name} is not {video_no}: it is {length:.1f} s long, and "
                    f"{video_no} {known:.1f} s; nothing was charged"
                )
    found = send(run, call, configuration)
    run.screen.document({"video_no": video_no, "clips": [asdict(clip) for clip in found]})
    if not found:
        run.screen.say("No clip matches.")
    run.screen.table(
        ("start (s)>", "end (s)>", "score>"),
        [(f"{c.start_time:.2f}", f"{c.end_time:.2f}", f"{c.score:.3f}") for c in found],
    )
    is_done = True
    if picture is not None and video is not None:
        is_done = draw_picture(run.screen, Path(image), prompt, video, found, out=picture)
    if page is not None:
        video = video or find_known_video(configuration.hosts.search, video_no)
        from memories_async.report import Report

        report = Report.of_search(image, prompt=prompt, video_no=video_no, clips=found, video=video)
        is_done = write_page(run.screen, report, page) and is_done
    return Exit.DONE if is_done else Exit.NO_RESULT


def find_video(url: str, video_no: str) -> Path:
    """Ask the embedded service at *url* for the file of a video. Raises `click.UsageError`."""
    path = None
    if is_loopback(urlsplit(url).hostname or ""):
        # No proxy: the request stays on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{url.rstrip('/')}/_local/library", timeout=_TIMEOUT) as reply:
                library: Any = json.load(reply)
            path = next(Path(one["path"]) for one in library if one["video_no"] == video_no)
        except (OSError, ValueError, LookupError, TypeError, StopIteration):
            path = None  # an unknown video, or another server
    if path is None or not path.is_file():
        raise click.UsageError(f"--picture needs the file of {video_no}: add --video FILE")
    return path


def find_known_video(url: str, video_no: str) -> Path | None:
    """Ask the embedded service for the file of a video; None where it has none."""
    with suppress(click.UsageError):
        return find_video(url, video_no)
    return None


def check_picture(image: Path, video: Path, out: Path) -> float:
    """Check that the picture can be drawn; return the video's length. Raises `click.UsageError`."""
    if out.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise click.UsageError(f"--picture must name a .png or .jpg file, not {out.name}")
    if not out.parent.is_dir():
        raise click.UsageError(f"--picture: there is no folder {out.parent}")
    with report_start_errors():
        from memories_async.local.engine.protocol import EngineError
        from memories_async.local.engine.video.film import Film
        from memories_async.local.engine.video.picture import decode
    try:
        decode(image.read_bytes())
        with Film.open(video) as film:
            for _ in film.frames(0.1, longest=32):
                pass  # the length is known at the end
            return film.duration
    except EngineError as error:
        raise click.UsageError(f"--picture cannot be drawn: {error}") from error


def read_length(
    run: CommandRun, configuration: Configuration, video_no: str, unique_id: str
) -> float | None:
    """Ask the service for the length of a video, which is free; None where it does not know it."""

    async def read(client: Client) -> float | None:
        found = await client.send(videos.metadata(video_no, unique_id=unique_id))
        return None if found is None else found.duration

    with run.screen.status("videos.metadata ..."):
        return run_flow(run, read, configuration)


def draw_picture(
    screen: Screen, image: Path, prompt: str, video: Path, found: tuple[Clip, ...], *, out: Path
) -> bool:
    """Draw the answer into *out*; return whether that worked."""
    from memories_async.cli._picture import AnsweredSearch, draw_search
    from memories_async.local.engine.protocol import EngineError

    try:
        with screen.status("drawing ..."):
            draw_search(AnsweredSearch(image=image, prompt=prompt, video=video, clips=found), out)
    except (EngineError, OSError) as error:
        # The answer is on stdout already, with --json too.
        screen.err.print(clean(f"the picture could not be drawn: {error}"), soft_wrap=True)
        return False
    screen.note(f"picture written to {out}")
    return True


def write_page(screen: Screen, report: Report, out: Path) -> bool:
    """Write the answer as the page *out*; return whether that worked."""
    try:
        with screen.status("writing the page ..."):
            report.write(out)
    except OSError as error:
        # The answer is on stdout already, with --json too.
        screen.err.print(clean(f"the page could not be written: {error}"), soft_wrap=True)
        return False
    screen.note(f"page written to {out}")
    return True
