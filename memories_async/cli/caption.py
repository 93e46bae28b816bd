"""`memories-async caption`: submit a video for captioning, and wait for the caption if asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import click

from memories_async import Caption, CaptionTask, Person, captions
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli import _receiving
from memories_async.cli._described import show_dry_run
from memories_async.cli._options import common, dry_run
from memories_async.cli._receiving import Reception, show_caption
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import OutcomeUnknown

_EXAMPLES = """\
\b
Examples:
  memories-async caption beach.mp4 --callback https://example.com/cb
  memories-async caption beach.mp4 --person Alice=alice.png --callback https://example.com/cb
  memories-async caption https://example.com/v.mp4 --wait --public-url https://me.example --port 8000
"""
_USER_PROMPT = "Summarize what happens in the video."
_SYSTEM_PROMPT = "You are a video understanding system that describes what it sees."

_WAITING = "waiting for the caption ..."


@click.command(epilog=_EXAMPLES)
@click.argument("video", metavar="VIDEO_OR_URL")
@click.option(
    "--user-prompt",
    default=_USER_PROMPT,
    show_default=True,
    metavar="TEXT",
    help="What to tell of this video.",
)
@click.option(
    "--system-prompt",
    default=_SYSTEM_PROMPT,
    show_default=True,
    metavar="TEXT",
    help="How to go about it, for any video.",
)
@click.option(
    "--person",
    "persons",
    multiple=True,
    metavar="NAME=PICTURE",
    help="Somebody to recognise, by a picture file, or by its URL for a video given by URL; "
    "up to 5 times.",
)
@click.option("--thinking", is_flag=True, help="Turn the reasoning mode on.")
@click.option("--callback", metavar="URL", help="Have the caption POSTed there.")
@click.option("--wait", is_flag=True, help="Receive the caption here, and show it; see --port.")
@_receiving.port
@_receiving.public_url
@_receiving.timeout
@_receiving.store
@dry_run
@common
@pass_run
def command(
    run: Run,
    /,
    *,
    video: str,
    user_prompt: str,
    system_prompt: str,
    persons: tuple[str, ...],
    thinking: bool,
    callback: str | None,
    wait: bool,
    public_url: str | None,
    port: int | None,
    timeout: float,
    store: Path | None,
    dry_run: bool,
) -> None:
    """Submit a video for captioning.

    The video lasts 20 to 300 seconds and has at most 20 MB. The service answers with a task; the
    caption follows in one POST, to --callback, or to this command with --wait. A caption is charged
    when the task is accepted. A wait that ends early tells how `memories-async resume` goes on
    with it.
    """
    configuration = Configuration.read()
    with arguments():
        if wait == (callback is not None):
            raise ValueError("give either --callback URL or --wait: captions come by callback only")
        if not wait and (port, public_url, store) != (None, None, None):
            raise ValueError("--port, --public-url and --store go with --wait")
        place = _receiving.receiver(public_url, port, configuration, store) if wait else None
        build = captions.upload if _is_url(video) else captions.upload_file
        call = build(
            video,
            user_prompt=user_prompt,
            system_prompt=system_prompt,
            callback=callback,
            persons=_people(persons, by_url=_is_url(video)),
            thinking=thinking,
        )
    if dry_run:
        show_dry_run(run.screen, call, configuration)
    elif place is not None:
        reception = Reception(receiver=place, port=port or 0, timeout=timeout, store=store)
        show_caption(run, *asyncio.run(_caption(run, call, configuration, reception)))
    else:
        _show_task(run, run.send(call, configuration), callback)


def _is_url(text: str) -> bool:
    return urlsplit(text).scheme.lower() in {"http", "https"}


def _people(persons: Iterable[str], *, by_url: bool) -> list[Person]:
    people: list[Person] = []
    for person in persons:
        name, _, picture = person.partition("=")
        if not name or not picture:
            raise ValueError(f"--person must be NAME=PICTURE, not {person!r}")
        if by_url != _is_url(picture):
            kind = "a URL" if by_url else "a file"
            raise ValueError(f"--person {name}: the video is {kind}, so the picture must be one")
        people.append(Person(name, url=picture) if by_url else Person(name, image=picture))
    return people


async def _caption(
    run: Run, call: Call[CaptionTask], configuration: Configuration, reception: Reception
) -> tuple[CaptionTask | None, Caption]:
    async with reception.open() as port:
        client = configuration.client(Host.CAPTIONS, receiver=reception.receiver, observers=(run,))
        async with client:
            try:
                with run.screen.waiting("submitting ..."):
                    task = await client.send(call)
            except OutcomeUnknown as lost:
                # The submission may have arrived; then its callback comes all the same.
                run.screen.note(f"{lost.message}; waiting for the callback all the same")
                with run.screen.waiting(_WAITING):
                    return None, await reception.caption_of(lost)
            run.paid = f"task {task.task_id} was accepted and charged"
            run.again = reception.again(task, port)
            run.screen.note(f"task {task.task_id} accepted, 1 caption charged")
            run.screen.note(f"if this ends too early, go on with: {run.again}")
            with run.screen.waiting(_WAITING):
                return task, await reception.caption_of(task)


def _show_task(run: Run, task: CaptionTask, callback: str | None) -> None:
    run.screen.document({"task_id": task.task_id, "callback": callback})
    run.screen.facts([("task", task.task_id), ("comes to", str(callback))])
    run.charged("caption")
