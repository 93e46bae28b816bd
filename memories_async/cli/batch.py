"""`memories-async batch`: many calls from a file, recorded, resumable, and never paid twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
from attrs import asdict, evolve, fields

from memories_async import Client, Ledger
from memories_async._protocol.reply import Host
from memories_async.batch import Batch, Progress
from memories_async.cli import _batch_items as items
from memories_async.cli._batch_captions import Here, Take, here_options
from memories_async.cli._batch_options import Plan, options, planned
from memories_async.cli._batch_show import line, plan_facts, shown
from memories_async.cli._exits import Exit
from memories_async.cli._group import Group
from memories_async.cli._options import common
from memories_async.cli._run import Run, arguments
from memories_async.cli._settings import Configuration

_EXAMPLES = """\
\b
Examples:
  memories-async batch embed --from assets.csv --ledger run.db --out vectors.parquet
  memories-async batch search --from queries.jsonl --ledger run.db --prompt "red shirt"
  memories-async batch caption --from videos.csv --ledger run.db --callback https://me/cb --dry-run
  memories-async batch caption --from videos.csv --ledger run.db --captions captions.jsonl \\
      --public-url https://me.example --port 8000

\b
A row has the columns of its command (search: image, video_no, prompt; embed: asset_id; caption:
video, user_prompt, system_prompt, callback, persons), and a `key` if it wants one; an option fills
in what a row leaves out. The same command over the same ledger goes on where it was stopped.
"""


def _rows(name: str, file: str, columns: str, row: str) -> str:
    """Show the least file that a batch reads, and the command that reads it."""
    command = f"memories-async batch {name} --from {file} --ledger run.db --dry-run"
    return f"\b\nExample:\n  {command}\n\n\b\n{file}:\n  {columns}\n  {row}"


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """Send many calls from a file.

    Exit codes: 0 every item is answered; 1 some were refused; 2 some rows are wrong; 3 some were
    not sent; 4 some are unknown, perhaps charged; 5 all are accepted, but captions are missing; 130
    interrupted.
    """


@command.command(
    epilog=_rows("search", "queries.csv", "image,video_no,prompt", "a.png,VI62,red shirt")
)
@click.option("--prompt", metavar="TEXT", help="For rows without one.")
@click.option("--video-no", metavar="ID", help="For rows without one.")
@options
def search(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Search with many pictures.

    A row's columns: image, video_no, prompt, unique_id, and a key of yours.
    """
    defaults = _taken(settings, "prompt", "video_no")
    calls = items.Items(source, defaults, items.search, run.screen.note)
    return _main(run, calls, Host.SEARCH, settings)


@command.command(epilog=_rows("embed", "assets.csv", "asset_id", "re_6577"))
@click.option("--model", metavar="NAME", help="For rows without one.")
@options
def embed(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Embed many videos.

    A row's columns: asset_id, model, and a key of yours.
    """
    defaults = _taken(settings, "model")
    calls = items.Items(source, defaults, items.embed, run.screen.note)
    return _main(run, calls, Host.EMBEDDINGS, settings)


@command.command(
    epilog=_rows(
        "caption",
        "videos.csv",
        "video,user_prompt,system_prompt,callback",
        "a.mp4,Who comes in?,You describe videos.,https://me.example/cb",
    )
)
@click.option("--user-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--system-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--callback", metavar="URL", help="For rows without one: captions come there.")
@here_options
@options
def caption(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Submit many videos for captioning.

    A row's columns: video (a file or a URL), user_prompt, system_prompt, callback, persons
    (NAME=PICTURE;NAME=PICTURE), thinking, and a key of yours.

    With --captions it ends when every caption has come, or has been waited for in vain. The same
    command again writes those that came before and waits for the rest: the ledger keeps both.
    """
    here = Here(**{one.name: settings.pop(one.name) for one in fields(Here)})
    defaults = _taken(settings, "user_prompt", "system_prompt", "callback")
    with arguments():
        here.check(callback=defaults.get("callback"))
    if here.captions is not None:
        defaults["callback"] = None
    calls = items.Items(source, defaults, items.caption, run.screen.note)
    return _main(run, calls, Host.CAPTIONS, settings, here)


def _taken(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    """Take out of *settings* what stands in for a row's own columns."""
    taken = {name: settings.pop(name) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def _main(
    run: Run, calls: items.Items, host: Host, settings: dict[str, Any], here: Here | None = None
) -> int:
    configuration = Configuration.read()
    with arguments():
        plan = planned(**settings)
        ledger = Ledger(plan.ledger)
        if here is not None:
            captions = here.received(configuration, ledger, tell=run.screen.note)
            plan = evolve(plan, captions=captions)
    client = configuration.client(host, receiver=plan.captions and plan.captions.receiver)
    with ledger:
        try:
            return asyncio.run(_run(run, client, calls, plan, ledger))
        except KeyboardInterrupt:
            run.screen.note(f"interrupted; the same command goes on: {plan.ledger} knows the rest")
            return Exit.INTERRUPTED


async def _run(run: Run, client: Client, calls: items.Items, plan: Plan, ledger: Ledger) -> int:
    async with client:
        batch: Batch[str, Any] = client.batch(
            calls,
            ledger=ledger,
            concurrency=plan.concurrency,
            on_unknown=plan.on_unknown,
            budget=plan.budget,
        )
        if plan.dry_run:
            foreseen = await batch.plan()
            run.screen.document({"plan": asdict(foreseen)})
            run.screen.facts(plan_facts(foreseen))
            return Exit.USAGE if calls.invalid else Exit.DONE
        async with AsyncExitStack() as stack:
            take: Take | None = None
            if plan.captions is not None:
                take = await stack.enter_async_context(plan.captions.open())
            async with batch, shown(run.screen, lambda: batch.progress):
                await _drain(run, batch, take)
    if plan.out is not None:
        count = await asyncio.to_thread(ledger.export, plan.out)
        run.screen.note(f"{count:,} entries written to {plan.out}")
    return _told(run, batch, calls, plan)


async def _drain(run: Run, batch: Batch[str, Any], take: Take | None) -> None:
    try:
        async for outcome in batch:
            if outcome.error is not None:
                run.screen.note(f"{outcome.key}: {outcome.error}")
            if take is not None:
                await take(outcome)
    except asyncio.CancelledError:
        run.screen.note("stopping: waiting for what is out; Ctrl-C again stops at once")
        raise


def _told(run: Run, batch: Batch[str, Any], calls: items.Items, plan: Plan) -> int:
    progress, stopped, captions = batch.progress, batch.stopped, plan.captions
    run.screen.document(
        {
            **{name: value for name, value in asdict(progress).items() if name != "in_flight"},
            "invalid": calls.invalid,
            "stopped": None if stopped is None else str(stopped),
            "ledger": str(plan.ledger),
            **({} if captions is None else {"captions": captions.written}),
        }
    )
    run.screen.say(line(progress))
    if captions is not None:
        run.screen.say(f"{captions.written:,} captions in {captions.path}")
    if stopped is not None:
        run.screen.note(f"stopped, the rest is planned: {stopped}")
    if progress.unknown:
        run.screen.note(f"perhaps charged: memories-async ledger unknown {plan.ledger}")
    code = _code(progress, invalid=calls.invalid, stopped=stopped is not None)
    return Exit.NO_RESULT if code is Exit.DONE and captions and captions.missing else code


def _code(progress: Progress, *, invalid: int, stopped: bool) -> Exit:
    if progress.unknown:
        return Exit.UNKNOWN
    if progress.unsent or stopped:
        return Exit.NOT_SENT
    if invalid:
        return Exit.USAGE
    return Exit.REFUSED if progress.refused else Exit.DONE
