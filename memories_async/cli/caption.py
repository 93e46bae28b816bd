"""`memories-async caption`: submit a video for captioning, and wait for the caption if asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import click
from attrs import asdict, frozen

from memories_async import Caption, CaptionTask, Person, captions
from memories_async._calls import Call
from memories_async._replies import Host
from memories_async.cli._described import show_dry_run
from memories_async.cli._local import starting
from memories_async.cli._options import common, dry_run
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import CallbackTimeout, OutcomeUnknown
from memories_async.receiver import Receiver

_EXAMPLES = """\
\b
Examples:
  memories-async caption beach.mp4 --callback https://example.com/cb
  memories-async caption beach.mp4 --person Alice=alice.png --callback https://example.com/cb
  memories-async caption https://example.com/v.mp4 --wait --public-url https://me.example --port 8000
"""
_USER_PROMPT = "Summarize what happens in the video."
_SYSTEM_PROMPT = "You are a video understanding system that describes what it sees."


@frozen(kw_only=True)
class _Wait:
    """How the caption is received here."""

    receiver: Receiver
    port: int
    timeout: float


@click.command(epilog=_EXAMPLES)
@click.argument("video", metavar="VIDEO_OR_URL")
@click.option("--user-prompt", default=_USER_PROMPT, show_default=True, metavar="TEXT")
@click.option("--system-prompt", default=_SYSTEM_PROMPT, show_default=True, metavar="TEXT")
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
@click.option("--wait", is_flag=True, help="Receive the caption here, and show it.")
@click.option("--public-url", metavar="URL", help="With --wait: where the service reaches --port.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="With --wait: the port of this machine; a free one by default.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="With --wait: how long.",
)
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
    callback: str | None,
    public_url: str | None,
    port: int,
    timeout: float,
    thinking: bool,
    wait: bool,
    dry_run: bool,
) -> None:
    """Submit a video for captioning.

    The video lasts 20 to 300 seconds and has at most 20 MB. The service answers with a task; the
    caption follows in one POST, to --callback, or to this command with --wait. A caption is charged
    when the task is accepted.
    """
    configuration = Configuration.read()
    with arguments():
        if wait == (callback is not None):
            raise ValueError("give either --callback URL or --wait: captions come by callback only")
        receiver = _receiver(public_url, configuration) if wait else None
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
    elif receiver is not None:
        how = _Wait(receiver=receiver, port=port, timeout=timeout)
        _show_caption(run, *asyncio.run(_caption(run, call, configuration, how)))
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


def _receiver(public_url: str | None, configuration: Configuration) -> Receiver:
    """Make the receiver, refusing before anything is paid where no callback could reach it."""
    host = urlsplit(configuration.hosts.captions).hostname
    if public_url is None and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ValueError(
            f"{host} cannot reach this machine by itself: add --public-url URL (a tunnel to --port)"
        )
    return Receiver(public_url or "http://127.0.0.1:0")


async def _caption(
    run: Run, call: Call[CaptionTask], configuration: Configuration, how: _Wait
) -> tuple[CaptionTask | None, Caption]:
    async with AsyncExitStack() as stack:
        stack.callback(how.receiver.close)
        with starting(how.port):
            await stack.enter_async_context(how.receiver.serve(port=how.port))
        client = configuration.client(Host.CAPTIONS, receiver=how.receiver, observers=(run,))
        await stack.enter_async_context(client)
        task, error = None, None
        try:
            with run.screen.waiting("submitting ..."):
                task = await client.send(call)
            run.paid = f"task {task.task_id} was accepted and charged"
            run.screen.note(f"task {task.task_id} accepted, 1 caption charged")
        except OutcomeUnknown as lost:
            # The submission may have arrived; then its callback comes all the same.
            run.screen.note(f"{lost.message}; waiting for the callback all the same")
            error = lost
        with run.screen.waiting("waiting for the caption ..."):
            return task, await _arrived(how, task, error)


async def _arrived(how: _Wait, task: CaptionTask | None, lost: OutcomeUnknown | None) -> Caption:
    if task is not None:
        return await how.receiver.wait(task, timeout=how.timeout)
    assert lost is not None
    try:
        return await how.receiver.wait(lost, timeout=how.timeout)
    except CallbackTimeout:
        raise lost from None


def _show_task(run: Run, task: CaptionTask, callback: str | None) -> None:
    run.screen.document({"task_id": task.task_id, "callback": callback})
    run.screen.facts([("task", task.task_id), ("comes to", str(callback))])
    run.charged("caption")


def _show_caption(run: Run, task: CaptionTask | None, caption: Caption) -> None:
    tokens = None if caption.tokens is None else asdict(caption.tokens)
    run.screen.document({"task_id": task and task.task_id, "text": caption.text, "tokens": tokens})
    run.screen.say(caption.text)
    if tokens is not None:
        run.screen.note(f"{tokens['input']:,} tokens read, {tokens['output']:,} written")
