"""`memories-async add`: upload video files, and wait until they are ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import asdict, define, field

from memories_async import Asset, Client, Video, assets, videos
from memories_async._flows.library import find_uploaded
from memories_async._protocol.call import Progress
from memories_async.cli._calls import run_flow
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._options import (
    LedgerPlace,
    LedgerType,
    account,
    common,
    dry_run,
    make_timeout_option,
    raise_usage_errors,
)
from memories_async.cli._problems import describe_error
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import MemoriesError

F = TypeVar("F", bound=Callable[..., Any])
_EXAMPLES = """\
\b
Examples:
  memories-async add sea.mp4          # a video, to search
  memories-async add --asset sea.mp4  # an asset, to embed
  memories-async add --asset --signed film.mkv  # large
  memories-async add *.mp4 --ledger uploads.db
  memories-async add sea.mp4 --tag beach --tag 2026
  memories-async add sea.mp4 --json | jq .added

With --ledger, each file is uploaded once, whatever its name.
"""

_OPTIONS = {
    "tags": "--tag",
    "folder_id": "--folder-id",
    "camera_model": "--camera-model",
    "datetime_taken": "--taken",
    "latitude": "--latitude",
    "longitude": "--longitude",
}
"""Arguments of an upload, and the options that give them."""


def upload_options(function: F) -> F:
    """Add to a command the options that tell the service of a video."""
    for option in (
        click.option("--longitude", type=float, metavar="DEGREES", help="-180 to 180."),
        click.option(
            "--latitude", type=float, metavar="DEGREES", help="-90 to 90; with --longitude."
        ),
        click.option(
            "--taken",
            "datetime_taken",
            metavar="TIME",
            help='When it was taken, such as "2026-11-28 09:30:00".',
        ),
        click.option("--camera-model", metavar="TEXT", help="The camera that took it."),
        click.option("--folder-id", type=int, metavar="N", help="The folder of the library."),
        click.option(
            *("--tag", "tags"),
            multiple=True,
            metavar="TEXT",
            help="A label of the video; up to 20. Labels do not change a video that is there.",
        ),
    ):
        function = option(function)
    return function


@click.command(epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--asset",
    "as_asset",
    is_flag=True,
    help="Make an asset, for embed; the default is a video, for search.",
)
@click.option(
    "--signed",
    "is_signed",
    is_flag=True,
    help="With --asset, for large files: send them to the service's storage by a signed URL.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until each file is ready.")
@click.option("--fresh", is_flag=True, help="Upload again what is there already.")
@click.option(
    "--ledger",
    type=LedgerType(),
    metavar="FILE",
    help="Record uploads in this file, or at a postgresql:// URL, and reuse the recorded ones.",
)
@click.option(
    "--unique-id",
    metavar="ID",
    help="The scope of the videos; searches must name the same.  [default: default]",
)
@upload_options
@make_timeout_option(1800.0, "How long to wait for each file.")
@account
@dry_run
@common
@pass_run
def command(
    run: CommandRun,
    /,
    files: tuple[str, ...],
    *,
    as_asset: bool,
    is_signed: bool,
    no_wait: bool,
    fresh: bool,
    ledger: LedgerPlace | None,
    unique_id: str | None,
    timeout: float,
    dry_run: bool,
    **given: Any,
) -> int:
    """Upload video files, and wait until they are ready.

    A FILE is a .mp4, .avi, .mkv or .mov file of at most 3 GB. Each upload makes a new video and is
    charged by the video's length. A file that the library lists with its size and name is not
    uploaded again, nor one that --ledger knows; --fresh uploads it all the same. The service accepts
    one upload a minute.
    """
    if as_asset and unique_id is not None:
        raise click.UsageError("--unique-id is for videos; assets have none")
    if is_signed and not as_asset:
        raise click.UsageError("--signed goes with --asset")
    options = take_options(given)
    if as_asset and options:
        raise click.UsageError(f"{', '.join(_OPTIONS[name] for name in options)}: for videos only")
    scope = unique_id or "default"
    with raise_usage_errors():
        calls = [
            assets.upload(file) if as_asset else videos.upload(file, unique_id=scope, **options)
            for file in files
        ]
    configuration = Configuration.read(run.account)
    if dry_run:
        signed = [assets.signed_url(call.media[0].name) for call in calls] if is_signed else calls
        for call in signed:
            show_dry_run(run.screen, call, configuration)
        return 0
    uploader = _Uploader(
        run, as_asset, is_signed, scope, None if no_wait else timeout, fresh, options
    )
    with ExitStack() as stack:
        record = None if ledger is None else stack.enter_context(ledger.open())
        return uploader.add_all(files, configuration, ledger=record)


@define(eq=False)
class _Uploader:
    run: CommandRun
    as_asset: bool
    is_signed: bool
    unique_id: str
    timeout: float | None
    """Seconds to wait for a file; None does not wait."""
    fresh: bool
    options: dict[str, Any]
    """What the service is told of each video."""
    is_stored: bool = field(default=False, init=False)
    """Whether the latest file was sent to the storage, which no request charges."""
    added: list[dict[str, Any]] = field(factory=list[dict[str, Any]], init=False)

    def add_all(self, files: tuple[str, ...], configuration: Configuration, **settings: Any) -> int:
        """Add one file after the other; show what was added also where a later one fails."""

        async def add_each(client: Client) -> None:
            for file in files:
                await self.add(client, file)

        try:
            run_flow(self.run, add_each, configuration, **settings)
        except MemoriesError as error:
            if not (self.run.json and self.added):
                raise
            problem = describe_error(error)
            self.run.screen.document({"added": self.added, **problem.document()})
            return int(problem.exit)
        self.run.screen.document({"added": self.added})
        return 0

    async def add_video(
        self, client: Client, file: str, progress: Progress | None
    ) -> tuple[Video, bool]:
        """Upload a file unless it is there; return the video, and whether it was charged now."""
        call = videos.upload(file, unique_id=self.unique_id, progress=progress, **self.options)
        if not self.fresh and (found := await find_uploaded(client, call, self.unique_id)):
            return found, False
        sent = await client.exchange(call, fresh=self.fresh)
        return sent.answer, sent.billed == "yes"

    async def add_asset(
        self, client: Client, file: str, progress: Progress | None
    ) -> tuple[Asset, bool]:
        """Upload a file unless the ledger knows it; return the asset, and whether it was charged now."""
        call = assets.upload(file, progress=progress)
        if self.is_signed:
            is_paid = not self.fresh and await client.is_paid(call)
            answer = await client.assets.signed_upload(file, progress=progress, fresh=self.fresh)
            self.is_stored = not is_paid
            return answer, False
        sent = await client.exchange(call, fresh=self.fresh)
        return sent.answer, sent.billed == "yes"

    async def add(self, client: Client, file: str) -> None:
        """Upload a file, and wait until it is ready."""
        screen = self.run.screen
        with screen.upload_bar(Path(file).name) as progress:
            answer: Video | Asset
            if self.as_asset:
                answer, is_charged = await self.add_asset(client, file, progress)
            else:
                answer, is_charged = await self.add_video(client, file, progress)
        number = answer.asset_id if isinstance(answer, Asset) else answer.video_no
        if self.is_stored:
            screen.note(f"stored: 1 asset for {file}, charged by its size and time")
        elif is_charged:
            self.run.paid_note = f"{number} was uploaded and charged"
            screen.note(f"charged: 1 {'asset' if self.as_asset else 'video'} for {file}")
        else:
            screen.note(f"not charged: {file} was uploaded before, as {number}")
        self.added.append(build_document(answer, file, is_charged=is_charged))
        if self.timeout is not None:
            with screen.status(f"{number} is being processed ..."):
                if isinstance(answer, Asset):
                    answer = await client.assets.wait(number, timeout=self.timeout)
                else:
                    answer = await client.videos.wait(
                        number, unique_id=self.unique_id, timeout=self.timeout
                    )
            self.added[-1] = build_document(answer, file, is_charged=is_charged)
        status = answer.upload_status if isinstance(answer, Asset) else answer.status
        screen.say(f"{number}  {status or 'accepted'}  {file}")
        self.run.paid_note = ""


def take_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options of an upload that were given, under the names of the library."""
    return {name: given[name] for name in _OPTIONS if given[name] not in (None, ())}


def build_document(answer: Video | Asset, file: str, *, is_charged: bool) -> dict[str, Any]:
    """Build the part of the JSON document for one file."""
    facts = asdict(answer)
    return {
        "file": file,
        "charged": is_charged,
        **{name: facts[name] for name in facts if name != "extra"},
    }
