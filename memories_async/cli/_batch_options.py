"""What the options of every batch say, and how they are checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import frozen

from memories_async import Budget
from memories_async.cli._batch_captions import Captions
from memories_async.cli._options import common
from memories_async.cli._run import pass_run

F = TypeVar("F", bound=Callable[..., Any])


@frozen(kw_only=True)
class Plan:
    """What the options of every batch say."""

    ledger: Path
    out: Path | None
    concurrency: int | None
    on_unknown: Any
    budget: Budget | None
    dry_run: bool
    captions: Captions | None = None
    """What receives captions, if they are to come here."""


def options(function: F) -> F:
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
            "--concurrency", type=click.IntRange(1), metavar="N", help="At most N requests at once."
        ),
        click.option(
            "--on-unknown",
            type=click.Choice(["park", "resend", "raise"]),
            default="park",
            show_default=True,
            help="What becomes of calls that may have been paid: report, risk paying twice, stop.",
        ),
        *_spending(),
        click.option(
            "--dry-run", is_flag=True, help="Show what would be sent and cost; send nothing."
        ),
        common,
        pass_run,
    ]
    return reduce(lambda wrapped, option: option(wrapped), reversed(added), function)


def _spending() -> list[Callable[[Any], Any]]:
    """Make the options that bound what a batch costs."""
    return [
        click.option(
            "--max-calls", type=click.IntRange(0), metavar="N", help="Pay for N calls at most."
        ),
        click.option(
            "--max-points",
            type=click.FloatRange(0),
            metavar="N",
            help="Spend N points at most; needs --price.",
        ),
        click.option(
            "--price",
            "prices",
            multiple=True,
            metavar="UNIT=POINTS",
            help="What a search, caption or embedding costs you; may be repeated.",
        ),
    ]


def planned(
    *,
    ledger: Path,
    out: Path | None,
    concurrency: int | None,
    on_unknown: str,
    max_calls: int | None,
    max_points: float | None,
    prices: tuple[str, ...],
    dry_run: bool,
) -> Plan:
    """Check the options and put them together."""
    if out is not None and out.suffix.lower() not in {".parquet", ".csv", ".jsonl"}:
        raise ValueError(f"--out must end in .parquet, .csv or .jsonl, not {out.name!r}")
    is_capped = max_calls is not None or max_points is not None or bool(prices)
    known = dict(map(_price, prices))
    budget = Budget(calls=max_calls, points=max_points, prices=known) if is_capped else None
    return Plan(
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
