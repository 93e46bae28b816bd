"""`memories-async report`: write a ledger as one HTML page."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Iterable
from pathlib import Path

import click

from memories_async.cli._local import report_start_errors
from memories_async.cli._options import LedgerPlace, LedgerType, common, raise_usage_errors
from memories_async.cli._run import CommandRun, pass_run

_EXAMPLES = """\
\b
Examples:
  memories-async report run.db --out report.html
  memories-async report run.db --videos holiday/ \\
      --out report.html --open
  memories-async report run.db --videos holiday/ \\
      --video VI62=beach.mp4 --embed-clips
"""


@click.command(epilog=_EXAMPLES)
@click.argument("place", metavar="LEDGER", type=LedgerType(exists=True, dir_okay=False))
@click.option(
    "--videos",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of videos and query pictures, or one file; may be repeated.",
)
@click.option(
    "--video",
    "pairs",
    multiple=True,
    metavar="ID=FILE",
    help="The file of one video_no, asset_id or item of a batch; may be repeated.",
)
@click.option(
    "--out",
    default="report.html",
    show_default=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The page to write; one that is there is replaced.",
)
@click.option("--title", metavar="TEXT", help="The heading of the page.")
@click.option(
    "--embed-clips", is_flag=True, help="Put the clips into the page, so that it stands alone."
)
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@common
@pass_run
def command(
    run: CommandRun,
    /,
    *,
    place: LedgerPlace,
    videos: tuple[Path, ...],
    pairs: tuple[str, ...],
    out: Path,
    title: str | None,
    embed_clips: bool,
    is_opened: bool,
) -> None:
    """Write calls, costs, searches, captions and embeddings of LEDGER as one HTML page.

    A file of --videos belongs to a call by its content, or by its name: the video_no, the asset_id or
    the batch's item, with or without the suffix. Ids of the embedded service are recognized too.
    Clips play from these files, unless --embed-clips puts them into the page. Nothing is sent.
    """
    check_page("--out", out)
    # The threads of BLAS wait for each other where other programs run, at 4 times the CPU in all.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with raise_usage_errors():
        named = dict(map(parse_pair, pairs))
    with report_start_errors(), run.screen.status("reading the files ..."):
        media = {**find_media(videos), **named}
        from memories_async.report import Report
    with place.open() as ledger, run.screen.count_bar("drawing the page") as progress:
        report = Report(ledger, media=media, title=title, embed_clips=embed_clips)
        size = report.write(out, progress=progress).stat().st_size
    run.screen.document({"out": str(out), "bytes": size})
    run.screen.facts([("written to", str(out)), ("size", format_size(size))])
    if is_opened:
        webbrowser.open(out.absolute().as_uri())


def format_size(size: int) -> str:
    """Write a number of bytes in kB, or in MB from one on."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004


def check_page(option: str, out: Path) -> None:
    """Check that a page can be written to *out*, and by what. Raises `click.UsageError`."""
    check_place(option, out, (".html", ".htm"))


def check_place(option: str, out: Path, suffixes: tuple[str, ...]) -> None:
    """Check that *out* ends in one of *suffixes* and has a folder, and that reports can be written.

    Raises `click.UsageError`.
    """
    with report_start_errors():
        from memories_async.report import Report

        del Report
    if out.suffix.lower() not in suffixes:
        raise click.UsageError(
            f"{option} must end in {' or '.join(suffixes[:2])}, not {out.name!r}"
        )
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"{option}: there is no folder {out.parent}")


def parse_pair(pair: str) -> tuple[str, Path]:
    """Read ID=FILE. Raises `ValueError`."""
    name, _, file = pair.partition("=")
    if not name or not Path(file).is_file():
        raise ValueError(f"--video must be ID=FILE with a file that exists, not {pair!r}")
    return name, Path(file)


def find_media(paths: Iterable[Path]) -> dict[str, Path]:
    """List the files in *paths* by name, content, and the ids that the embedded service gives them."""
    from memories_async.report import index_media

    paths = tuple(paths)
    media = index_media(paths)
    try:
        from memories_async.local.state.library import Library
    except ModuleNotFoundError:
        return media  # without the extra local
    for video in Library(paths).videos():
        media |= {video.video_no: video.path, video.asset_id: video.path}
    return media
