"""The options of every batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import frozen

from memories_async import Budget
from memories_async.cli._options import (
    LedgerPlace,
    LedgerType,
    account,
    common,
    parse_prices,
    price_option,
)
from memories_async.cli._run import pass_run

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
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
        type=LedgerType(dir_okay=False),
        metavar="FILE",
        help="Record the calls in this file, or at a postgresql:// URL; made if it is not there.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Export the ledger at the end: .parquet, .csv or .jsonl.",
    ),
    click.option(
        "--concurrency", type=click.IntRange(1), metavar="N", help="At most N requests at once."
    ),
    click.option(
        "--on-unknown",
        type=click.Choice(["park", "resend", "raise"]),
        default="park",
        show_default=True,
        metavar="WHAT",
        help="Calls that may have been charged: park (report them), resend, or raise (stop).",
    ),
    click.option(
        "--max-calls", type=click.IntRange(0), metavar="N", help="Pay for at most N calls."
    ),
    click.option(
        "--max-points",
        type=click.FloatRange(0),
        metavar="N",
        help="Spend at most N points; needs --price.",
    ),
    price_option,
    click.option(
        "--drain",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="After Ctrl-C, wait so long for requests in flight; else until each ends or times out.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be sent and cost; send nothing."),
    account,
    common,
    pass_run,
)


def batch_options(function: F) -> F:
    """Add the options of every batch to a command."""
    wrapped: Any = function
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    decorated: F = wrapped
    return decorated


@frozen(kw_only=True)
class BatchOptions:
    """The options of every batch."""

    ledger: LedgerPlace
    out: Path | None
    concurrency: int | None
    on_unknown: Any
    budget: Budget | None
    drain: float | None
    """Seconds to wait for requests in flight after an interrupt; None until each has ended."""
    dry_run: bool

    @classmethod
    def parse(
        cls,
        *,
        out: Path | None,
        max_calls: int | None,
        max_points: float | None,
        prices: tuple[str, ...],
        **rest: Any,
    ) -> BatchOptions:
        """Check the options. Raises `ValueError`."""
        if out is not None and out.suffix.lower() not in {".parquet", ".csv", ".jsonl"}:
            raise ValueError(f"--out must end in .parquet, .csv or .jsonl, not {out.name!r}")
        known = parse_prices(prices)
        budget = None
        if max_calls is not None or max_points is not None or known:
            budget = Budget(calls=max_calls, points=max_points, prices=known)
        return cls(out=out, budget=budget, **rest)
