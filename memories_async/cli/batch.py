"""`memories-async batch`: many calls from a file, recorded, resumable, and never paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import asdict, frozen

from memories_async import Budget, Client, Ledger
from memories_async._replies import Host
from memories_async.batch import Batch, Outcome, Progress
from memories_async.cli import _batch_items as items
from memories_async.cli._batch_show import line, plan_facts, shown
from memories_async.cli._exits import Exit
from memories_async.cli._options import common
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration

F = TypeVar("F", bound=Callable[..., Any])

_EXAMPLES = """\
\b
Examples:
  memories-async batch embed --from assets.csv --ledger run.db --out vectors.parquet
  memories-async batch search --from queries.jsonl --ledger run.db --prompt "red shirt"
  memories-async batch caption --from videos.csv --ledger run.db --callback https://me/cb --dry-run

\b
A row has the columns of its command (search: image, video_no, prompt; embed: asset_id; caption:
video, user_prompt, system_prompt, callback, persons), and a `key` if it wants one; an option fills
in what a row leaves out. The same command over the same ledger goes on where it was stopped.
"""


@frozen(kw_only=True)
class _Plan:
    """What the options of every batch say."""

    ledger: Path
    out: Path | None
    concurrency: int | None
    on_unknown: Any
    budget: Budget | None
    dry_run: bool


@click.group(epilog=_EXAMPLES)
@common
def command() -> None:
    """Send many calls from a file.

    Exit codes: 0 every item is answered; 1 some were refused; 2 some rows are wrong; 3 some were
    not sent; 4 some are unknown, perhaps charged; 130 interrupted. The highest that applies counts.
    """


def _options(function: F) -> F:
    """Add what every batch takes."""
    added: list[Callable[[Any], Any]] = [
        click.option(
            "--from",
            "source",
            required=True,
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="The items, a .csv or .jsonl file.",
        ),
        click.option(
            "--ledger",
            required=True,
            type=click.Path(path_type=Path, dir_okay=False),
            help="The record; made if it is not there.",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Export the ledger there in the end: .parquet, .csv or .jsonl.",
        ),
        click.option(
            "--concurrency", type=click.IntRange(1), metavar="N", help="In flight at most."
        ),
        click.option(
            "--on-unknown",
            type=click.Choice(["park", "resend", "raise"]),
            default="park",
            show_default=True,
            help="What becomes of calls that may have been paid: report, risk paying twice, stop.",
        ),
        click.option("--max-calls", type=click.IntRange(0), metavar="N", help="Pay for no more."),
        click.option("--max-points", type=click.FloatRange(0), metavar="N", help="Spend no more."),
        click.option(
            "--price",
            "prices",
            multiple=True,
            metavar="UNIT=POINTS",
            help="What a search, caption or embedding costs you; may be repeated.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Show what would be sent and cost; send nothing."
        ),
        common,
        pass_run,
    ]
    return reduce(lambda wrapped, option: option(wrapped), reversed(added), function)


@command.command()
@click.option("--prompt", metavar="TEXT", help="For rows without one.")
@click.option("--video-no", metavar="ID", help="For rows without one.")
@_options
def search(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Search with many pictures: columns image, video_no, prompt, unique_id."""
    defaults = _taken(settings, "prompt", "video_no")
    calls = items.Items(source, defaults, items.search, run.screen.note)
    return _main(run, calls, Host.SEARCH, settings)


@command.command()
@click.option("--model", metavar="NAME", help="For rows without one.")
@_options
def embed(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Embed many videos: columns asset_id, model."""
    defaults = _taken(settings, "model")
    calls = items.Items(source, defaults, items.embed, run.screen.note)
    return _main(run, calls, Host.EMBEDDINGS, settings)


@command.command()
@click.option("--user-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--system-prompt", metavar="TEXT", help="For rows without one.")
@click.option("--callback", metavar="URL", help="For rows without one: captions come there.")
@_options
def caption(run: Run, /, *, source: Path, **settings: Any) -> int:
    """Submit many videos: columns video, user_prompt, system_prompt, callback, persons, thinking."""
    defaults = _taken(settings, "user_prompt", "system_prompt", "callback")
    calls = items.Items(source, defaults, items.caption, run.screen.note)
    return _main(run, calls, Host.CAPTIONS, settings)


def _taken(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    """Take out of *settings* what stands in for a row's own columns."""
    taken = {name: settings.pop(name) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def _main(run: Run, calls: items.Items, host: Host, settings: dict[str, Any]) -> int:
    with arguments():
        plan = _plan(**settings)
    client = Configuration.read().client(host)
    with Ledger(plan.ledger) as ledger:
        try:
            return asyncio.run(_run(run, client, calls, plan, ledger))
        except KeyboardInterrupt:
            run.screen.note(f"interrupted; the same command goes on: {plan.ledger} knows the rest")
            return Exit.INTERRUPTED


def _plan(
    *,
    ledger: Path,
    out: Path | None,
    concurrency: int | None,
    on_unknown: str,
    max_calls: int | None,
    max_points: float | None,
    prices: tuple[str, ...],
    dry_run: bool,
) -> _Plan:
    if out is not None and out.suffix.lower() not in {".parquet", ".csv", ".jsonl"}:
        raise ValueError(f"--out must end in .parquet, .csv or .jsonl, not {out.name!r}")
    is_capped = max_calls is not None or max_points is not None or bool(prices)
    known = dict(map(_price, prices))
    budget = Budget(calls=max_calls, points=max_points, prices=known) if is_capped else None
    return _Plan(
        ledger=ledger,
        out=out,
        concurrency=concurrency,
        on_unknown=on_unknown,
        budget=budget,
        dry_run=dry_run,
    )


def _price(text: str) -> tuple[str, float]:
    unit, _, points = text.partition("=")
    try:
        return unit, float(points)
    except ValueError:
        raise ValueError(f"--price must be UNIT=POINTS, not {text!r}") from None


async def _run(run: Run, client: Client, calls: items.Items, plan: _Plan, ledger: Ledger) -> int:
    async with client:
        batch: Batch[str, Any] = client.batch(
            calls,
            ledger=ledger,
            concurrency=plan.concurrency,
            on_unknown=plan.on_unknown,
            budget=plan.budget,
        )
        if plan.dry_run:
            planned = await batch.plan()
            run.screen.document({"plan": asdict(planned)})
            run.screen.facts(plan_facts(planned))
            return Exit.USAGE if calls.invalid else Exit.DONE
        async with batch, shown(run.screen, lambda: batch.progress):
            await _drain(run, batch)
    if plan.out is not None:
        count = await asyncio.to_thread(ledger.export, plan.out)
        run.screen.note(f"{count:,} entries written to {plan.out}")
    return _told(run, batch, calls, plan)


async def _drain(run: Run, batch: Batch[str, Any]) -> None:
    try:
        async for outcome in batch:
            if outcome.error is not None:
                run.screen.note(_failure(outcome))
    except asyncio.CancelledError:
        run.screen.note("stopping: waiting for what is out; Ctrl-C again stops at once")
        raise


def _failure(outcome: Outcome[str, Any]) -> str:
    return f"{outcome.key}: {outcome.error}"


def _told(run: Run, batch: Batch[str, Any], calls: items.Items, plan: _Plan) -> int:
    progress = batch.progress
    stopped = batch.stopped
    run.screen.document(
        {
            **{name: value for name, value in asdict(progress).items() if name != "in_flight"},
            "invalid": calls.invalid,
            "stopped": None if stopped is None else str(stopped),
            "ledger": str(plan.ledger),
        }
    )
    run.screen.say(line(progress))
    if stopped is not None:
        run.screen.note(f"stopped, the rest is planned: {stopped}")
    if progress.unknown:
        run.screen.note(f"perhaps charged: memories-async ledger unknown {plan.ledger}")
    return _code(progress, invalid=calls.invalid, stopped=stopped is not None)


def _code(progress: Progress, *, invalid: int, stopped: bool) -> int:
    if progress.unknown:
        return Exit.UNKNOWN
    if progress.unsent or stopped:
        return Exit.NOT_SENT
    if invalid:
        return Exit.USAGE
    return Exit.REFUSED if progress.refused else Exit.DONE
