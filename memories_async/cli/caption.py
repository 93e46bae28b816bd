"""`memories-async caption`: caption a video, in the reply or by callback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from memories_async import Caption, CaptionTask, Person, captions
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host
from memories_async.cli import _receiving
from memories_async.cli._calls import CallObserver, run_async, send
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._exits import Exit
from memories_async.cli._long_captions import LongOptions
from memories_async.cli._options import (
    account,
    common,
    dry_run,
    extra_option,
    is_url,
    parse_extra,
    parse_prices,
    price_option,
    raise_usage_errors,
)
from memories_async.cli._receiving import Reception, show_caption
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import OutcomeUnknown

_EXAMPLES = """\
\b
Examples:
  memories-async caption sea.mp4 --sync
  memories-async caption sea.mp4 --callback https://me/cb
  memories-async caption sea.mp4 \\
      --person Alice=alice.png --callback https://me/cb
  memories-async caption https://me/sea.mp4 --wait \\
      --public-url https://me.example --port 8000
  memories-async caption film.mkv --long --sync \\
      --dry-run --price caption=2
"""
_USER_PROMPT = "Summarize what happens in the video."
_SYSTEM_PROMPT = "You are a video understanding system that describes what it sees."


@frozen(kw_only=True)
class CaptionCommandOptions:
    """The options of the command."""

    video: str
    user_prompt: str
    system_prompt: str
    persons: tuple[str, ...]
    thinking: bool
    tag: str | None
    reasoning_effort: int | None
    qa: bool
    extra: tuple[str, ...]
    sync: bool
    callback: str | None
    wait: bool
    is_long: bool
    ledger: str | None
    public_url: str | None
    port: int | None
    timeout: float
    store: Path | None
    prices: tuple[str, ...]
    dry_run: bool

    def check(self) -> None:
        """Raise `ValueError` for options that do not go together."""
        if [self.sync, self.wait, self.callback is not None].count(True) != 1:
            raise ValueError(
                "give one of --sync (the caption comes in the reply), --wait (this command receives "
                "its callback) and --callback URL (a receiver of yours does)"
            )
        is_other = is_url(self.video) or self.callback is not None or self.store is not None
        if self.is_long and is_other:
            raise ValueError("--long takes a file and --sync or --wait; --ledger is its store")
        if self.ledger is not None and not self.is_long:
            raise ValueError("--ledger goes with --long")
        if not self.wait and (self.port, self.public_url, self.store) != (None, None, None):
            raise ValueError("--port, --public-url and --store go with --wait")
        if self.prices and not self.dry_run:
            raise ValueError("--price goes with --dry-run")

    def build_arguments(self) -> dict[str, Any]:
        """Build what every form of the call takes."""
        return {
            "user_prompt": self.user_prompt,
            "system_prompt": self.system_prompt,
            "thinking": self.thinking,
            "reasoning_effort": self.reasoning_effort,
            "qa": self.qa or None,
            "extra": parse_extra(self.extra),
            "tag": self.tag,
            "persons": parse_persons(self.persons, by_url=is_url(self.video)),
        }

    def build_reception(self, configuration: Configuration) -> Reception:
        """Build what receives the caption here, for `--wait`."""
        receiver = _receiving.make_receiver(self.public_url, self.port, configuration, self.store)
        return Reception(
            receiver=receiver, port=self.port or 0, timeout=self.timeout, store=self.store
        )

    def build_call(self, arguments: Mapping[str, Any]) -> Call[Any]:
        """Build the call for a file or a URL, whose caption comes in the reply or by callback."""
        if self.sync:
            answered = captions.upload_sync if is_url(self.video) else captions.upload_file_sync
            return answered(self.video, **arguments)
        submitted = captions.upload if is_url(self.video) else captions.upload_file
        return submitted(self.video, callback=self.callback, **arguments)


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
@click.option(
    "--reasoning-effort",
    type=click.IntRange(1, captions.MAX_EFFORT),
    metavar="N",
    help="The effort of the reasoning; with --thinking.",
)
@click.option("--qa", is_flag=True, help="Ask for an answer in the style of a chat.")
@extra_option
@click.option("--sync", is_flag=True, help="Get the caption in the reply: no callback is needed.")
@click.option("--callback", metavar="URL", help="The URL to which the caption is POSTed.")
@click.option("--wait", is_flag=True, help="Receive the caption here, on --port, and show it.")
@click.option(
    "--long",
    "is_long",
    is_flag=True,
    help="Cut a film over 300 s or 20 MB into pieces; each is charged as one caption.",
)
@click.option("--ledger", metavar="FILE", help="With --long: the record of what is paid.")
@_receiving.port_option
@_receiving.public_url_option
@_receiving.timeout_option
@_receiving.store_option
@price_option
@account
@dry_run
@common
@pass_run
def command(run: CommandRun, /, **options: Any) -> int:
    """Caption a video.

    The video must be 20 to 300 seconds long and at most 20 MB. With --sync, the caption is in the
    reply. Otherwise the service answers with a task, which is charged, and the caption follows in
    one POST, to --callback or, with --wait, to this command. If a wait ends early, the command
    prints how to continue it with `memories-async resume`; a lost reply to --sync loses the caption.

    A longer or larger film is captioned with --long, which cuts it where shots change.
    """
    configuration, chosen = Configuration.read(run.account), CaptionCommandOptions(**options)
    with raise_usage_errors():
        chosen.check()
        arguments = chosen.build_arguments()
        points = parse_prices(chosen.prices)
        if chosen.is_long:
            long = LongOptions(
                ledger=chosen.ledger,
                wait=chosen.wait,
                port=chosen.port,
                public_url=chosen.public_url,
                timeout=chosen.timeout,
                dry_run=chosen.dry_run,
                prices=points,
            )
            return long.caption(run, chosen.video, configuration, arguments)
        reception = chosen.build_reception(configuration) if chosen.wait else None
        call = chosen.build_call(arguments)
    if chosen.dry_run:
        show_dry_run(run.screen, call, configuration, points)
    elif reception is not None:
        show_caption(run, *run_async(submit_and_wait(run, call, configuration, reception)))
    elif chosen.sync:
        show_caption(run, None, send(run, call, configuration))
    else:
        task = send(run, call, configuration)
        run.screen.document(
            {"task_id": task.task_id, "tag": chosen.tag, "callback": chosen.callback}
        )
        run.screen.facts([("task", task.task_id), ("callback", str(chosen.callback))])
    return Exit.DONE


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
