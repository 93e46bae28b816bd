"""`memories-async videos`: list the videos of an account, wait for them, download and delete them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from memories_async import Client, Video, videos
from memories_async._protocol import wire_json
from memories_async.cli._calls import run_flow, send
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._exits import Exit
from memories_async.cli._options import (
    Group,
    account,
    common,
    dry_run,
    make_timeout_option,
    raise_usage_errors,
)
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import Configuration
from memories_async.media import MB

_EXAMPLES = """\
\b
Examples:
  memories-async videos list --status FAILED --tag beach
  memories-async videos details VI62
  memories-async videos wait VI62
  memories-async videos download VI62 --to sea.mp4
  memories-async videos delete VI62 VI63
"""
_scope = click.option(
    "--unique-id",
    default="default",
    show_default=True,
    metavar="ID",
    help="The scope that the videos were added to.",
)


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """List videos, wait for them, delete them, all free; download them, which is charged."""


@command.command("list", epilog="\b\nExample:\n  memories-async videos list --status FAILED")
@click.option("--name", metavar="TEXT", help="Only videos with this name.")
@click.option(
    "--status",
    type=click.Choice(["PARSE", "UNPARSE", "FAILED"]),
    metavar="WORD",
    help="Only videos that are PARSE, UNPARSE or FAILED.",
)
@click.option("--tag", metavar="TEXT", help="Only videos with this label.")
@click.option("--folder-id", type=int, metavar="N", help="Only videos of this folder.")
@click.option("--camera-model", metavar="TEXT", help="Only videos of this camera.")
@click.option(
    "--taken",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    metavar="TIME",
    help="Only videos taken then, such as 2026-11-28T09:30:00+00:00.",
)
@click.option("--latitude", type=float, metavar="DEGREES", help="Only videos of this place.")
@click.option("--longitude", type=float, metavar="DEGREES", help="Only videos of this place.")
@_scope
@common
@pass_run
def list_command(
    run: CommandRun,
    /,
    *,
    name: str | None,
    taken: datetime | None,
    unique_id: str,
    **filters: Any,
) -> None:
    """List the videos."""
    filters["datetime_taken"] = taken
    with raise_usage_errors():
        videos.list(video_name=name, unique_id=unique_id, **filters)

    async def list_all(client: Client) -> list[Video]:
        pages = client.videos.list(video_name=name, unique_id=unique_id, **filters)
        return [video async for video in pages]

    with run.screen.status("videos.list ..."):
        found = run_flow(run, list_all, Configuration.read(run.account))
    run.screen.document({"videos": [build_document(video) for video in found]})
    if not found:
        run.screen.say("No videos.")
    columns = ("video", "status", "seconds>", "MB>", "name")
    run.screen.table(
        columns,
        [
            (
                video.video_no,
                video.status or "",
                "" if video.duration is None else f"{video.duration:.0f}",
                "" if video.size is None else f"{video.size / MB:.1f}",
                video.video_name or "",
            )
            for video in found
        ],
    )


@command.command("details", epilog="\b\nExample:\n  memories-async videos details VI62")
@click.argument("number", metavar="VIDEO_NO")
@_scope
@common
@pass_run
def details_command(run: CommandRun, number: str, unique_id: str) -> int:
    """Show the details of VIDEO_NO, such as its size and place.

    They are what the service measured in its pictures, and what its upload said.
    """
    with raise_usage_errors():
        call = videos.details(number, unique_id=unique_id)

    async def ask(client: Client) -> Video | None:
        return await client.send(call)

    with run.screen.status("videos.details ..."):
        video = run_flow(run, ask, Configuration.read(run.account))
    if video is None:
        run.screen.document({"video": None})
        run.screen.say(f"No video {number}.")
        return Exit.REFUSED
    known = video.to_dict()
    run.screen.document({"video": known})
    run.screen.facts(
        (name, ", ".join(map(str, one)) if wire_json.is_array(one) else str(one))
        for name, one in known.items()
        if one not in (None, [], {})
    )
    return Exit.DONE


@command.command(
    "wait", epilog="\b\nExample:\n  memories-async videos wait VI62 VI63 --timeout 600"
)
@click.argument("numbers", nargs=-1, required=True, metavar="VIDEO_NO...")
@make_timeout_option(1800.0, "How long to wait for each.")
@_scope
@common
@pass_run
def wait_command(run: CommandRun, numbers: tuple[str, ...], timeout: float, unique_id: str) -> None:
    """Wait until each VIDEO_NO can be searched.

    That may take minutes.
    """
    with raise_usage_errors():
        for number in numbers:
            videos.metadata(number, unique_id=unique_id)

    async def wait_for_all(client: Client) -> list[Video]:
        found: list[Video] = []
        for number in numbers:  # one after the other: they share the account's rate
            video = await client.videos.wait(number, unique_id=unique_id, timeout=timeout)
            run.screen.say(f"{number}  {video.status}")
            found.append(video)
        return found

    with run.screen.status("waiting ..."):
        found = run_flow(run, wait_for_all, Configuration.read(run.account))
    run.screen.document({"videos": [build_document(video) for video in found]})


@command.command(
    "download", epilog="\b\nExample:\n  memories-async videos download VI62 --to sea.mp4"
)
@click.argument("number", metavar="VIDEO_NO")
@click.option("--to", required=True, metavar="FILE", help="The file to write.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@_scope
@account
@dry_run
@common
@pass_run
def download_command(
    run: CommandRun, number: str, to: str, unique_id: str, *, force: bool, dry_run: bool
) -> None:
    """Download the original file of VIDEO_NO; charged by the gigabyte.

    FILE appears once it is complete. A download that fails leaves nothing, and keeps the old FILE.
    """
    with raise_usage_errors():
        call = videos.download(number, to=to, unique_id=unique_id)
        if Path(to).is_dir():
            raise ValueError(f"--to must be a file, not the folder {to}")
        if Path(to).exists() and not force:
            raise ValueError(f"--to names a file that exists, {to}: add --force to replace it")
    configuration = Configuration.read(run.account)
    if dry_run:
        show_dry_run(run.screen, call, configuration)
        return
    size = send(run, call, configuration)
    run.screen.document({"video_no": number, "to": to, "size": size})
    run.screen.say(f"{number}  {size:,} bytes  {to}")


@command.command("delete", epilog="\b\nExample:\n  memories-async videos delete VI62 VI63 --yes")
@click.argument("numbers", nargs=-1, required=True, metavar="VIDEO_NO...")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_scope
@common
@pass_run
def delete_command(run: CommandRun, numbers: tuple[str, ...], unique_id: str, *, yes: bool) -> None:
    """Delete videos for good; ids that do not exist are ignored."""
    with raise_usage_errors():
        for number in numbers:
            videos.delete([number], unique_id=unique_id)
    several = count_noun(len(numbers), "video")
    if not yes and not is_interactive():
        raise click.UsageError(f"deleting {several} is final: add --yes")
    if not yes:
        click.confirm(f"Delete {several} for good?", abort=True, err=True)

    async def delete_all(client: Client) -> None:
        await client.videos.delete(numbers, unique_id=unique_id)

    run_flow(run, delete_all, Configuration.read(run.account))
    run.screen.document({"deleted": list(numbers)})
    run.screen.say(f"{several} deleted")


def is_interactive() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty()


def build_document(video: Video) -> dict[str, Any]:
    """Build the part of the JSON document for one video."""
    facts = asdict(video)
    return {name: facts[name] for name in facts if name != "extra"}
