"""`memories-async search`: find the clips of one video that match a picture and a prompt."""

from __future__ import annotations

from pathlib import Path

import click
from attrs import asdict

from memories_async import clips
from memories_async.cli._described import show_dry_run
from memories_async.cli._drawing import Drawing, local_file
from memories_async.cli._exits import Exit
from memories_async.cli._options import common, dry_run
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._screen import Screen
from memories_async.cli._settings import Configuration

_EXAMPLES = """\
\b
Examples:
  memories-async search shirt.png --video-no VI62 --prompt "focus on the red shirt"
  memories-async search shirt.png --video-no VI62 --prompt "red shirt" --dry-run
  memories-async search shirt.png --video-no VI62 --prompt "red shirt" --json | jq .clips
  memories-async search shirt.png --video-no VI62 --prompt "red shirt" \\
      --picture found.png --video holiday.mp4
"""


@click.command(epilog=_EXAMPLES)
@click.argument("image")
@click.option(
    "--video-no",
    required=True,
    metavar="ID",
    help="The video, such as VI6252: what `memories-async add` printed.",
)
@click.option("--prompt", required=True, metavar="TEXT", help="What to look at, in English.")
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
    help="Draw the answer into a .png or .jpg file; needs the video's file.",
)
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The video's file, for --picture; the embedded service finds its own.",
)
@dry_run
@common
@pass_run
def command(  # noqa: PLR0917  # click gives them by name
    run: Run,
    image: str,
    video_no: str,
    prompt: str,
    unique_id: str,
    picture: Path | None,
    video: Path | None,
    *,
    dry_run: bool,
) -> int:
    """Find the clips of a video that match IMAGE and a prompt.

    IMAGE is a .jpg, .png, .gif, .bmp or .webp file of at most 20 MB. A search is charged when it
    succeeds, and finding nothing is a success.
    """
    with arguments():
        call = clips.search(image, prompt=prompt, video_no=video_no, unique_id=unique_id)
    configuration = Configuration.read()
    if dry_run:
        show_dry_run(run.screen, call, configuration)
        return Exit.DONE
    # What a picture lacks is said before anything is paid.
    drawing = None
    if picture is not None:
        video = video or local_file(configuration.hosts.search, video_no)
        drawing = Drawing.prepared(image=Path(image), prompt=prompt, video=video, out=picture)
    found = run.send(call, configuration)
    run.screen.document({"video_no": video_no, "clips": [asdict(clip) for clip in found]})
    _show(run.screen, found)
    run.charged("search")
    drawn = drawing is None or drawing.draw(run.screen, found)
    return Exit.DONE if drawn else Exit.NO_RESULT


def _show(screen: Screen, found: tuple[clips.Clip, ...]) -> None:
    if not found:
        screen.say("No clip matches.")
    screen.table(
        ("start (s)>", "end (s)>", "score>"),
        [(f"{c.start_time:.2f}", f"{c.end_time:.2f}", f"{c.score:.3f}") for c in found],
    )
