"""`memories-async videos`: look at the video library, wait for a video, delete some."""

from __future__ import annotations

import sys
from typing import Any

import click
from attrs import asdict

from memories_async import Client, Video, videos
from memories_async.cli._group import Group
from memories_async.cli._options import common
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration
from memories_async.media import MB

_EXAMPLES = """\
\b
Examples:
  memories-async videos list --status FAILED
  memories-async videos wait VI62
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
    """List videos, wait for them, delete them; all free."""


@command.command("list", epilog="Example: memories-async videos list --status FAILED")
@click.option("--name", metavar="TEXT", help="Only those called so.")
@click.option("--status", metavar="WORD", help="Only those that are PARSE, UNPARSE or FAILED.")
@_scope
@common
@pass_run
def list_command(run: Run, name: str | None, status: str | None, unique_id: str) -> None:
    """List the videos of the library."""
    with arguments():
        videos.list(video_name=name, status=status, unique_id=unique_id)

    async def listed(client: Client) -> list[Video]:
        asked = client.videos.list(video_name=name, status=status, unique_id=unique_id)
        return [video async for video in asked]

    with run.screen.waiting("videos.list ..."):
        found = run.flow(listed, Configuration.read())
    run.screen.document({"videos": [_described(video) for video in found]})
    if not found:
        run.screen.say("No video.")
    columns = ("video", "status", "seconds>", "MB>", "name")
    run.screen.table(columns, [_row(video) for video in found])


@command.command("wait", epilog="Example: memories-async videos wait VI62 VI63 --timeout 600")
@click.argument("numbers", nargs=-1, required=True, metavar="VIDEO_NO...")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each.",
)
@_scope
@common
@pass_run
def wait_command(run: Run, numbers: tuple[str, ...], timeout: float, unique_id: str) -> None:
    """Wait until each VIDEO_NO can be searched, minutes perhaps."""
    with arguments():
        for number in numbers:
            videos.metadata(number, unique_id=unique_id)

    async def waited(client: Client) -> list[Video]:
        found: list[Video] = []
        for number in numbers:
            found.append(  # one after the other: the rate of looking is the account's
                await client.videos.wait(number, unique_id=unique_id, timeout=timeout)
            )
            run.screen.say(f"{number}  {found[-1].status}")
        return found

    with run.screen.waiting("waiting ..."):
        found = run.flow(waited, Configuration.read())
    run.screen.document({"videos": [_described(video) for video in found]})


@command.command("delete", epilog="Example: memories-async videos delete VI62 VI63 --yes")
@click.argument("numbers", nargs=-1, required=True, metavar="VIDEO_NO...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_scope
@common
@pass_run
def delete_command(run: Run, numbers: tuple[str, ...], unique_id: str, *, yes: bool) -> None:
    """Delete videos, for good; unknown ones are passed over."""
    with arguments():
        for number in numbers:
            videos.delete([number], unique_id=unique_id)
    several = "1 video" if len(numbers) == 1 else f"{len(numbers)} videos"
    if not yes and not somebody_answers():
        raise click.UsageError(f"deleting {several} is final: add --yes")
    if not yes:
        click.confirm(f"Delete {several} for good?", abort=True, err=True)

    async def deleted(client: Client) -> None:
        await client.videos.delete(numbers, unique_id=unique_id)

    run.flow(deleted, Configuration.read())
    run.screen.document({"deleted": list(numbers)})
    run.screen.say(f"{several} deleted")


def somebody_answers() -> bool:
    """Whether a question would be read by a person."""
    return sys.stdin.isatty()


def _row(video: Video) -> tuple[str, ...]:
    return (
        video.video_no,
        video.status or "",
        "" if video.duration is None else f"{video.duration:.0f}",
        "" if video.size is None else f"{video.size / MB:.1f}",
        video.video_name or "",
    )


def _described(video: Video) -> dict[str, Any]:
    facts = asdict(video)
    return {name: facts[name] for name in facts if name != "extra"}
