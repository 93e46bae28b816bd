"""`memories-async batch`: send many calls from a file; recorded, resumable, never paid twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from attrs import fields

from memories_async._protocol.reply import Host
from memories_async.cli._batch_captions import CaptionOptions, caption_options
from memories_async.cli._batch_films import FilmRows
from memories_async.cli._batch_options import batch_options
from memories_async.cli._batch_rows import (
    ASSETS,
    CAPTIONS,
    EMBEDDINGS,
    SEARCHES,
    SYNC_CAPTIONS,
    VIDEOS,
    Rows,
)
from memories_async.cli._batch_run import run_batch
from memories_async.cli._batch_uploads import UploadWaiter
from memories_async.cli._options import Group, common, make_timeout_option, raise_usage_errors
from memories_async.cli._run import CommandRun

_EXAMPLES = """\
\b
Examples:
  memories-async batch add --from files.csv --ledger a.db
  memories-async batch embed --from assets.csv \\
      --ledger run.db --out vectors.parquet
  memories-async batch search --from queries.jsonl \\
      --ledger run.db --prompt "red shirt"
  memories-async batch caption --from videos.csv \\
      --ledger run.db --sync --captions captions.jsonl
  memories-async batch caption --from videos.csv \\
      --ledger run.db --callback https://me/cb --dry-run
  memories-async batch caption --from films.csv \\
      --ledger run.db --sync --long \\
      --captions captions.jsonl --dry-run
  memories-async batch caption --from videos.csv \\
      --ledger run.db --captions captions.jsonl \\
      --public-url https://me.example --port 8000

\b
Columns of a row:
  add      file, unique_id
  search   image, video_no or file, prompt, unique_id
  embed    asset_id or file, model
  caption  video, user_prompt, system_prompt, callback,
           persons, thinking, tag
  all      key, your name for the row

An option such as --prompt fills in what a row leaves out. To continue a batch that was stopped, run
the same command again with the same ledger.
"""


def write_example(name: str, file: str, columns: str, row: str) -> str:
    """Write the epilog of a command: the smallest file that it reads, and how to run it."""
    command = f"memories-async batch {name} --from {file} \\\n      --ledger run.db --dry-run"
    return f"\b\nExample:\n  {command}\n\n\b\n{file}:\n  {columns}\n  {row}"


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """Send many calls from a file.

    Exit codes: 0 every item is answered; 1 some were refused; 2 some rows are wrong; 3 some were
    not sent; 4 some are unknown and may have been charged; 5 all are accepted, but some captions
    are missing; 130 interrupted.
    """


@command.command(
    epilog=write_example("search", "queries.csv", "image,video_no,prompt", "a.png,VI62,red shirt")
)
@click.option("--prompt", metavar="TEXT", help="For rows without one.")
@click.option("--video-no", metavar="ID", help="For rows without one.")
@batch_options
def search(run: CommandRun, /, *, source: Path, **settings: Any) -> int:
    """Search with many pictures.

    The columns of a row: image, video_no, prompt, unique_id, and a key of yours. With a file
    instead of video_no, the file is uploaded, once for all its rows, and searched when it is ready.
    """
    defaults = take_defaults(settings, "prompt", "video_no")
    rows = Rows(source, defaults, SEARCHES, run.screen.note)
    return run_batch(run, rows, Host.SEARCH, settings)


@command.command(epilog=write_example("embed", "assets.csv", "asset_id", "re_6577"))
@click.option("--model", metavar="NAME", help="For rows without one.")
@batch_options
def embed(run: CommandRun, /, *, source: Path, **settings: Any) -> int:
    """Embed many videos.

    The columns of a row: asset_id, model, and a key of yours. With a file instead of asset_id, the
    file is uploaded, once for all its rows, and embedded when it is ready.
    """
    defaults = take_defaults(settings, "model")
    rows = Rows(source, defaults, EMBEDDINGS, run.screen.note)
    return run_batch(run, rows, Host.EMBEDDINGS, settings)


@command.command(
    epilog=write_example(
        "caption",
        "videos.csv",
        "video,user_prompt,system_prompt,callback",
        "a.mp4,Who comes in?,You describe videos.,https://me/cb",
    )
)
@click.option("--user-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--system-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--callback", metavar="URL", help="For rows without one: where captions are POSTed.")
@caption_options
@batch_options
def caption(run: CommandRun, /, *, source: Path, **settings: Any) -> int:
    """Caption many videos, in the replies or by callback.

    The columns of a row: video (a file or a URL), user_prompt, system_prompt, callback, persons
    (NAME=PICTURE;NAME=PICTURE), thinking, tag (an id of yours, which each caption carries), and a
    key of yours.

    With --sync, each caption is in the reply, without a callback, and the ledger keeps it; --captions
    writes it to a file too. A reply that is lost loses the caption, which may have been charged.

    With --long, a file over 300 s or 20 MB is cut where shots change, after all other rows, and each
    piece is charged as one caption: --dry-run says how many. --captions gets one line for the film.

    With --captions alone, the command ends when every caption has arrived or its --timeout has passed.
    Run it again to write the captions that arrived before and wait for the rest: the ledger has
    both.
    """
    chosen = CaptionOptions(**{one.name: settings.pop(one.name) for one in fields(CaptionOptions)})
    defaults = take_defaults(settings, "user_prompt", "system_prompt", "callback")
    with raise_usage_errors():
        chosen.check(callback=defaults.get("callback"))
    if chosen.captions is not None and not chosen.sync:
        defaults["callback"] = None
    rows = Rows(source, defaults, SYNC_CAPTIONS if chosen.sync else CAPTIONS, run.screen.note)
    if chosen.is_long:
        films = FilmRows(rows, is_sync=chosen.sync)
        return run_batch(run, films, Host.CAPTIONS, settings, caption_options=chosen)
    return run_batch(run, rows, Host.CAPTIONS, settings, caption_options=chosen)


@command.command(epilog=write_example("add", "files.csv", "file", "holiday.mp4"))
@click.option(
    "--asset", "as_asset", is_flag=True, help="Make assets, for embed; the default is videos."
)
@click.option("--unique-id", metavar="ID", help="For rows without one: the scope of the videos.")
@click.option("--no-wait", is_flag=True, help="Do not wait until each file is ready.")
@make_timeout_option(1800.0, "How long to wait for each file.")
@batch_options
def add(
    run: CommandRun,
    /,
    *,
    source: Path,
    as_asset: bool,
    no_wait: bool,
    timeout: float,
    **settings: Any,
) -> int:
    """Upload many video files.

    The columns of a row: file, unique_id, and a key of yours. A file that the ledger has is not
    uploaded again. A line for each file has its id, which `batch search` or `batch embed` takes.
    """
    defaults = take_defaults(settings, "unique_id")
    if as_asset and defaults:
        raise click.UsageError("--unique-id is for videos; assets have none")
    rows = Rows(source, defaults, ASSETS if as_asset else VIDEOS, run.screen.note)
    uploads = UploadWaiter(run, None if no_wait else timeout, run.screen.say)
    return run_batch(run, rows, Host.SEARCH, settings, uploads=uploads)


def take_defaults(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    """Remove from *settings* the options that fill in a row's columns, and return those given."""
    taken = {name: settings.pop(name) for name in names}
    return {name: value for name, value in taken.items() if value is not None}
