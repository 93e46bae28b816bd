"""`memories-async caption`: submit a video for captioning, and wait for the caption with `--wait`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import click

from memories_async import Caption, CaptionTask, Person, captions
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli import _receiving
from memories_async.cli._calls import CallObserver, run_async, send
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._options import account, common, dry_run, raise_usage_errors
from memories_async.cli._receiving import Reception, show_caption
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import OutcomeUnknown

_EXAMPLES = """\
\b
Examples:
  memories-async caption sea.mp4 --callback https://me/cb
  memories-async caption sea.mp4 \\
      --person Alice=alice.png --callback https://me/cb
  memories-async caption https://me/sea.mp4 --wait \\
      --public-url https://me.example --port 8000
"""
_USER_PROMPT = "Summarize what happens in the video."
_SYSTEM_PROMPT = "You are a video understanding system that describes what it sees."


@click.command(epilog=_EXAMPLES)
@click.argument("video", metavar="VIDEO_OR_URL")
@click.option(
    "--user-prompt",
    default=_USER_PROMPT,
    show_default=True,
    metavar="TEXT",
    help="What to say about this video.",
)
@click.option(
    "--system-prompt",
    default=_SYSTEM_PROMPT,
    show_default=True,
    metavar="TEXT",
    help="How to describe any video.",
)
@click.option(
    "--person",
    "persons",
    multiple=True,
    metavar="NAME=PICTURE",
    help="A person to recognise, by a picture file, or by a URL if the video is a URL; up to 5.",
)
@click.option("--thinking", is_flag=True, help="Turn the reasoning mode on.")
@click.option("--tag", metavar="TEXT", help="An id of yours, which the caption carries.")
@click.option("--callback", metavar="URL", help="The URL to which the caption is POSTed.")
@click.option("--wait", is_flag=True, help="Receive the caption here, on --port, and show it.")
@_receiving.port_option
@_receiving.public_url_option
@_receiving.timeout_option
@_receiving.store_option
@account
@dry_run
@common
@pass_run
def command(
    run: CommandRun,
    /,
    *,
    video: str,
    user_prompt: str,
    system_prompt: str,
    persons: tuple[str, ...],
    thinking: bool,
    tag: str | None,
    callback: str | None,
    wait: bool,
    public_url: str | None,
    port: int | None,
    timeout: float,
    store: Path | None,
    dry_run: bool,
) -> None:
    """Submit a video for captioning.

    The video must be 20 to 300 seconds long and at most 20 MB. The service answers with a task;
    the caption follows in one POST, to --callback or, with --wait, to this command. It is charged
    when the task is accepted. If a wait ends early, the command prints how to continue it with
    `memories-async resume`.
    """
    configuration = Configuration.read(run.account)
    with raise_usage_errors():
        if wait == (callback is not None):
            raise ValueError("give either --callback URL or --wait: captions come by callback only")
        if not wait and (port, public_url, store) != (None, None, None):
            raise ValueError("--port, --public-url and --store go with --wait")
        make = _receiving.make_receiver
        receiver = make(public_url, port, configuration, store) if wait else None
        build = captions.upload if is_url(video) else captions.upload_file
        call = build(
            video,
            user_prompt=user_prompt,
            system_prompt=system_prompt,
            callback=callback,
            persons=parse_persons(persons, by_url=is_url(video)),
            thinking=thinking,
            tag=tag,
        )
    if dry_run:
        show_dry_run(run.screen, call, configuration)
    elif receiver is not None:
        reception = Reception(receiver=receiver, port=port or 0, timeout=timeout, store=store)
        show_caption(run, *run_async(submit_and_wait(run, call, configuration, reception)))
    else:
        task = send(run, call, configuration)
        run.screen.document({"task_id": task.task_id, "tag": tag, "callback": callback})
        run.screen.facts([("task", task.task_id), ("callback", str(callback))])


def is_url(text: str) -> bool:
    """Whether *text* is a web address."""
    return urlsplit(text).scheme.lower() in {"http", "https"}


def parse_persons(persons: Iterable[str], *, by_url: bool) -> list[Person]:
    """Parse the values of `--person`."""
    people: list[Person] = []
    for person in persons:
        name, _, picture = person.partition("=")
        if not name or not picture:
            raise ValueError(f"--person must be NAME=PICTURE, not {person!r}")
        if by_url != is_url(picture):
            kind = "a URL" if by_url else "a file"
            raise ValueError(f"--person {name}: the video is {kind}, so the picture must be one")
        people.append(Person(name, url=picture) if by_url else Person(name, image=picture))
    return people


async def submit_and_wait(
    run: CommandRun, call: Call[CaptionTask], configuration: Configuration, reception: Reception
) -> tuple[CaptionTask | None, Caption]:
    """Submit the video, and wait for its callback, also where the reply to the submission is lost."""
    observers = (CallObserver(run),)
    async with reception.open() as port:
        client = configuration.client(
            Host.CAPTIONS, receiver=reception.receiver, observers=observers
        )
        async with client:
            task: CaptionTask | None = None
            awaited: CaptionTask | OutcomeUnknown
            try:
                with run.screen.status("submitting ..."):
                    awaited = task = await client.send(call)
            except OutcomeUnknown as lost:
                run.screen.note(f"{lost.message}; waiting for the callback in case it arrived")
                awaited = lost
            else:
                run.paid_note = f"task {task.task_id} was accepted and charged"
                run.resume_command = reception.resume_command(task, port)
                run.screen.note(f"task {task.task_id} accepted, 1 caption charged")
                run.screen.note(f"if this command ends early, continue with: {run.resume_command}")
            with run.screen.status("waiting for the caption ..."):
                return task, await reception.wait(awaited)
