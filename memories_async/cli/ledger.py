"""`memories-async ledger`: read a ledger, settle its unknown calls, export it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from memories_async.cli._ledger_entries import (
    add_prices,
    build_document,
    find_keys,
    show_entries,
)
from memories_async.cli._options import (
    Group,
    LedgerPlace,
    LedgerType,
    common,
    parse_prices,
    price_option,
    raise_usage_errors,
)
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import count_noun, format_points
from memories_async.ledger import Entry, State

_EXAMPLES = """\
\b
Examples:
  memories-async ledger summary run.db
  memories-async ledger unknown run.db
  memories-async ledger entries run.db --state refused
  memories-async ledger settle run.db 3fa2c1 --not-paid
  memories-async ledger settle run.db 3fa2c1 --paid \\
      --answer '{"task_id": "8e03"}'
  memories-async ledger retry run.db --all
  memories-async ledger rename-account run.db OLD team
  memories-async ledger forget run.db --before 2026-01-01
  memories-async ledger export run.db out.parquet
"""
_STATES: tuple[State, ...] = ("planned", "sending", "done", "refused", "unknown")
_place = click.argument("place", metavar="LEDGER", type=LedgerType(exists=True, dir_okay=False))
_state = click.option(
    "--state",
    type=click.Choice(_STATES),
    metavar="STATE",
    help=f"Only the calls in this state: {', '.join(_STATES)}.",
)
_keys = click.argument("keys", nargs=-1, metavar="[KEY]...")
_all = click.option("--all", "every", is_flag=True, help="Every unknown call.")


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """Read a ledger, settle unknown calls, export.

    LEDGER is a file, or the postgresql:// URL of a database: leave the password to PGPASSWORD or to
    ~/.pgpass.

    A KEY may be shortened as long as it names one unknown call.
    """


@command.command(epilog="\b\nExample:\n  memories-async ledger summary run.db")
@_place
@price_option
@common
@pass_run
def summary(run: CommandRun, place: LedgerPlace, *, prices: tuple[str, ...]) -> None:
    """Count the calls by state, and add up their cost.

    A call costs what its batch or client recorded; --price is for the calls without a price.
    """
    with raise_usage_errors():
        known = parse_prices(prices)
    with place.open() as ledger:
        found = ledger.summary()
        if known and found.unpriced:
            found = add_prices(ledger, found, known)
    run.screen.document(asdict(found))
    rows = [
        (call, *(f"{states.get(name, 0):,}" for name in _STATES))
        for call, states in found.by_call.items()
    ]
    run.screen.table(("call", *(f"{name}>" for name in _STATES)), rows)
    facts = [
        ("calls", f"{found.total:,}"),
        ("requests", f"{found.attempts:,}"),
        ("points paid", format_points(found.points)),
        ("points at risk", format_points(found.points_at_risk)),
    ]
    if found.unpriced:
        facts.append(
            (
                "price unknown",
                f"{found.unpriced:,} paid or unknown calls, not in the points: add --price",
            )
        )
    facts += [("account", f"{name}: {count:,}") for name, count in found.by_account.items()]
    run.screen.facts(facts)


@command.command(epilog="\b\nExample:\n  memories-async ledger unknown run.db")
@_place
@common
@pass_run
def unknown(run: CommandRun, place: LedgerPlace) -> None:
    """List the calls that may have been charged.

    They were sent and not answered, or their answers could not be understood.
    """
    with place.open() as ledger:
        found = ledger.unknown()
    run.screen.document({"unknown": [build_document(entry) for entry in found]})
    if not found:
        run.screen.say("No unknown calls.")
    show_entries(run, found, with_state=False)


@command.command(
    epilog="\b\nExamples:\n  memories-async ledger entries run.db --state refused\n"
    "  memories-async ledger export run.db refused.csv \\\n      --state refused"
)
@_place
@_state
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    metavar="N",
    help="At most the N newest; 0 for all.",
)
@common
@pass_run
def entries(run: CommandRun, place: LedgerPlace, *, state: Any, limit: int) -> None:
    """List calls by state, with items and reasons.

    The oldest come first. The reason is why a call was refused, or why its outcome is unknown. `memories-async ledger export` writes them to a file.
    """
    with raise_usage_errors(), place.open() as ledger:
        newest, count = deque[Entry](maxlen=limit or None), 0
        for entry in ledger.entries(state=state):
            newest.append(entry)
            count += 1
    run.screen.document({"entries": [build_document(entry) for entry in newest], "count": count})
    if not newest:
        run.screen.say(f"No {state} calls." if state else "No calls.")
    show_entries(run, newest, with_state=state is None)
    if count > len(newest):
        run.screen.note(f"the newest {len(newest):,} of {count:,}; --limit 0 lists all")


@command.command(epilog="\b\nExample:\n  memories-async ledger settle run.db 3fa2c1 --not-paid")
@_place
@_keys
@_all
@click.option(
    "--paid/--not-paid", required=True, help="Whether the account's usage shows a charge."
)
@click.option("--answer", metavar="JSON", help="The `data` of the service's reply, if you have it.")
@common
@pass_run
def settle(
    run: CommandRun,
    place: LedgerPlace,
    keys: tuple[str, ...],
    *,
    every: bool,
    paid: bool,
    answer: str | None,
) -> None:
    """Record whether unknown calls were charged.

    The account's usage page shows it. With --paid and --answer, the ledger returns that answer from
    now on; with --not-paid, a call is sent when it is next requested. `memories-async ledger
    unknown` shows each KEY.
    """
    with raise_usage_errors(), place.open() as ledger:
        data = None if answer is None else json.loads(answer)
        found = find_keys(ledger, keys, every=every)
        if answer is not None and len(found) != 1:
            raise ValueError("--answer is the answer of one call: give one KEY")
        for key in found:
            ledger.settle(key, paid=paid, answer=data)
    run.screen.document({"keys": found, "paid": paid})
    show_keys(run, found, "paid" if paid else "not paid; sent when it is next requested")


@command.command(epilog="\b\nExample:\n  memories-async ledger retry run.db 3fa2c1")
@_place
@_keys
@_all
@common
@pass_run
def retry(run: CommandRun, place: LedgerPlace, keys: tuple[str, ...], *, every: bool) -> None:
    """Allow unknown calls to be sent again.

    They may then be paid twice. A call is sent when it is next requested, for example by the same
    batch.
    """
    with raise_usage_errors(), place.open() as ledger:
        found = find_keys(ledger, keys, every=every)
        for key in found:
            ledger.retry(key)
    run.screen.document({"keys": found})
    show_keys(run, found, "sent when it is next requested")


@command.command(
    "rename-account",
    epilog="\b\nExample:\n  memories-async ledger rename-account run.db OLD team",
)
@_place
@click.argument("old")
@click.argument("new")
@common
@pass_run
def rename_account(run: CommandRun, place: LedgerPlace, old: str, new: str) -> None:
    """Give the entries of account OLD to account NEW.

    After a change of the API key, calls that were paid with the old key are then not paid again.
    `memories-async ledger summary` shows the accounts; OLD may be shortened. NEW is the name that
    --account or MEMORIES_ACCOUNT gives.
    """
    with raise_usage_errors(), place.open() as ledger:
        names = ledger.summary().by_account
        found = [name for name in names if name == old] or [
            name for name in names if name.startswith(old)
        ]
        if len(found) != 1:
            how = "no account" if not found else "more than one account"
            raise ValueError(f"{how} begins with {old!r}: there are {', '.join(names) or 'none'}")
        count = ledger.rename_account(found[0], new)
    run.screen.document({"old": found[0], "new": new, "entries": count})
    run.screen.say(f"{count_noun(count, 'entry', 'entries')} of {found[0]} moved to {new}")


@command.command(epilog="\b\nExample:\n  memories-async ledger forget run.db --before 2026-01-01")
@_place
@click.option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Delete what ended before it, as 2026-01-31, in local time.",
)
@common
@pass_run
def forget(run: CommandRun, place: LedgerPlace, before: datetime) -> None:
    """Delete old calls with their replies.

    Unknown calls and calls that are being sent stay. A deleted call is paid again if it is
    requested again.
    """
    with raise_usage_errors(), place.open() as ledger:
        count = ledger.forget(before=before.astimezone())
    run.screen.document({"deleted": count, "before": before.astimezone().isoformat()})
    run.screen.say(f"{count_noun(count, 'entry', 'entries')} deleted")


@command.command(epilog="\b\nExample:\n  memories-async ledger export run.db out.parquet")
@_place
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@_state
@common
@pass_run
def export(run: CommandRun, place: LedgerPlace, out: Path, *, state: Any) -> None:
    """Write the ledger to OUT, a .parquet, .csv or .jsonl file."""
    with raise_usage_errors(), place.open() as ledger:
        count = ledger.export(out, state=state)
    run.screen.document({"out": str(out), "entries": count})
    run.screen.say(f"{count_noun(count, 'entry', 'entries')} written to {out}")


def show_keys(run: CommandRun, keys: Sequence[str], what: str) -> None:
    """Show each key with what became of it."""
    if not keys:
        run.screen.say("No unknown calls.")
    for key in keys:
        run.screen.say(f"{key[:12]}: {what}")
