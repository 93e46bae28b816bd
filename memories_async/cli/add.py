"""`memories-async add`: upload video files, and wait until they can be used."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from attrs import asdict, define, field

from memories_async import Asset, Client, Ledger, Video, assets, videos
from memories_async.cli._bar import uploading
from memories_async.cli._described import show_dry_run
from memories_async.cli._exits import problem_of
from memories_async.cli._options import common, dry_run
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import MemoriesError

_EXAMPLES = """\
\b
Examples:
  memories-async add holiday.mp4                  prints its video_no, for search
  memories-async add --asset holiday.mp4          prints its asset_id, for embed
  memories-async add *.mp4 --ledger uploads.db    uploads no file twice
  memories-async add holiday.mp4 --json | jq -r .added[].video_no
"""


@click.command(epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--asset",
    "as_asset",
    is_flag=True,
    help="Make an asset, for embed; without it, a video, for search.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait until it can be used.")
@click.option("--fresh", is_flag=True, help="Upload also what the ledger knows.")
@click.option("--ledger", metavar="FILE", help="Remember uploads there, and reuse them.")
@click.option(
    "--unique-id",
    metavar="ID",
    help="The scope to add to; searches must name the same.  [default: default]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each file.",
)
@dry_run
@common
@pass_run
def command(
    run: Run,
    files: tuple[str, ...],
    *,
    as_asset: bool,
    no_wait: bool,
    fresh: bool,
    ledger: str | None,
    unique_id: str | None,
    timeout: float,
    dry_run: bool,
) -> int:
    """Upload video files, and wait until they can be used.

    A FILE is a .mp4, .avi, .mkv or .mov file of at most 3 GB. Each upload is charged, by the
    video's length, and is another video: see --ledger. The service takes one a minute.
    """
    if as_asset and unique_id is not None:
        raise click.UsageError("--unique-id is for videos; assets have none")
    scope = unique_id or "default"
    with arguments():
        calls = [
            assets.upload(file) if as_asset else videos.upload(file, unique_id=scope)
            for file in files
        ]
    configuration = Configuration.read()
    if dry_run:
        for call in calls:
            show_dry_run(run.screen, call, configuration)
        return 0
    adding = _Adding(run, as_asset, scope, None if no_wait else timeout, fresh)
    with ExitStack() as stack:
        record = None if ledger is None else stack.enter_context(Ledger(ledger))
        return adding.all(files, configuration, ledger=record)


@define(eq=False)
class _Adding:
    run: Run
    as_asset: bool
    unique_id: str
    timeout: float | None
    """Seconds to wait for a file, or None."""
    fresh: bool
    added: list[dict[str, Any]] = field(factory=list[dict[str, Any]], init=False)

    def all(self, files: tuple[str, ...], configuration: Configuration, **settings: Any) -> int:
        """Add one file after the other, and show what was added also where a later one fails."""

        async def each(client: Client) -> None:
            for file in files:
                await self.one(client, file)

        try:
            self.run.flow(each, configuration, **settings)
        except MemoriesError as error:
            if not (self.run.screen.json and self.added):
                raise
            problem = problem_of(error)
            self.run.screen.document({"added": self.added, **problem.document()})
            return int(problem.exit)
        self.run.screen.document({"added": self.added})
        return 0

    async def one(self, client: Client, file: str) -> None:
        """Upload a file, and wait for it."""
        answer = await self._uploaded(client, file)
        self.run.paid = f"{_id(answer)} was uploaded and charged"
        self.added.append(_described(answer, file))
        if self.timeout is not None:
            with self.run.screen.waiting(f"{_id(answer)} is being processed ..."):
                answer = await self._ready(client, answer)
            self.added[-1] = _described(answer, file)
        status = answer.upload_status if isinstance(answer, Asset) else answer.status
        self.run.screen.say(f"{_id(answer)}  {status or 'accepted'}  {file}")
        self.run.paid = ""

    async def _uploaded(self, client: Client, file: str) -> Video | Asset:
        with uploading(self.run.screen, Path(file).name) as told:
            if self.as_asset:
                return await client.send(assets.upload(file, progress=told), fresh=self.fresh)
            call = videos.upload(file, unique_id=self.unique_id, progress=told)
            return await client.send(call, fresh=self.fresh)

    async def _ready(self, client: Client, answer: Video | Asset) -> Video | Asset:
        assert self.timeout is not None
        if isinstance(answer, Asset):
            return await client.assets.wait(answer.asset_id, timeout=self.timeout)
        return await client.videos.wait(
            answer.video_no, unique_id=self.unique_id, timeout=self.timeout
        )


def _id(answer: Video | Asset) -> str:
    return answer.asset_id if isinstance(answer, Asset) else answer.video_no


def _described(answer: Video | Asset, file: str) -> dict[str, Any]:
    facts = asdict(answer)
    return {"file": file, **{name: facts[name] for name in facts if name != "extra"}}
