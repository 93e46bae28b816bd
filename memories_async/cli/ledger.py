"""`memories-async ledger`: read a ledger, settle its unknown calls, export it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from memories_async.cli._options import Group, common, raise_usage_errors
from memories_async.cli._run import CommandRun, pass_run
from memories_async.ledger import Entry, Ledger, State

_EXAMPLES = """\
\b
Examples:
  memories-async ledger summary run.db
  memories-async ledger unknown run.db
  memories-async ledger settle run.db 3fa2c1 --not-paid
  memories-async ledger settle run.db 3fa2c1 --paid \\
      --answer '{"task_id": "8e03"}'
  memories-async ledger retry run.db 3fa2c1
  memories-async ledger export run.db out.parquet
"""
_STATES: tuple[State, ...] = ("planned", "sending", "done", "refused", "unknown")
_file = click.argument(
    "path", metavar="LEDGER", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """Read a ledger, settle unknown calls, export.

    A KEY may be shortened as long as it names one unknown call.
    """


@command.command(epilog="\b\nExample:\n  memories-async ledger summary run.db")
@_file
@common
@pass_run
def summary(run: CommandRun, path: Path) -> None:
    """Count the calls by state, and add up their cost."""
    with Ledger(path) as ledger:
        found = ledger.summary()
    run.screen.document(asdict(found))
    rows = [
        (call, *(f"{states.get(name, 0):,}" for name in _STATES))
        for call, states in found.by_call.items()
    ]
    run.screen.table(("call", *(f"{name}>" for name in _STATES)), rows)
    run.screen.facts(
        [
            ("calls", f"{found.total:,}"),
            ("requests", f"{found.attempts:,}"),
            ("points paid", f"{found.points:g}"),
            ("points at risk", f"{found.points_at_risk:g}"),
        ]
    )


@command.command(epilog="\b\nExample:\n  memories-async ledger unknown run.db")
@_file
@common
@pass_run
def unknown(run: CommandRun, path: Path) -> None:
    """List the calls that may have been charged.

    They were sent and not answered, or their answers could not be understood.
    """
    with Ledger(path) as ledger:
        found = ledger.unknown()
    run.screen.document({"unknown": [build_document(entry) for entry in found]})
    if not found:
        run.screen.say("No unknown calls.")
    run.screen.table(
        ("key", "item", "call", "sent", "requests>", "why"),
        [
            (
                entry.key[:12],
                entry.item or "",
                entry.call,
                datetime.fromtimestamp(entry.sent_at or 0.0).astimezone().isoformat(" ", "seconds"),
                str(entry.attempts),
                entry.message or "",
            )
            for entry in found
        ],
    )


@command.command(epilog="\b\nExample:\n  memories-async ledger settle run.db 3fa2c1 --not-paid")
@_file
@click.argument("key")
@click.option(
    "--paid/--not-paid", required=True, help="Whether the account's usage shows a charge."
)
@click.option("--answer", metavar="JSON", help="The `data` of the service's reply, if you have it.")
@common
@pass_run
def settle(run: CommandRun, path: Path, key: str, *, paid: bool, answer: str | None) -> None:
    """Record whether an unknown call was charged.

    The account's usage page shows it. With --paid and --answer, the ledger returns that answer from
    now on; with --not-paid, the call is sent when it is next requested. `memories-async ledger
    unknown` shows each KEY.
    """
    with raise_usage_errors(), Ledger(path) as ledger:
        data = None if answer is None else json.loads(answer)
        full = find_key(ledger, key)
        ledger.settle(full, paid=paid, answer=data)
    run.screen.document({"key": full, "paid": paid})
    run.screen.say(f"{full[:12]}: {'paid' if paid else 'not paid; sent when it is next requested'}")


@command.command(epilog="\b\nExample:\n  memories-async ledger retry run.db 3fa2c1")
@_file
@click.argument("key")
@common
@pass_run
def retry(run: CommandRun, path: Path, key: str) -> None:
    """Allow an unknown call to be sent again; it may be paid twice.

    It is sent when it is next requested, for example by the same batch.
    """
    with raise_usage_errors(), Ledger(path) as ledger:
        full = find_key(ledger, key)
        ledger.retry(full)
    run.screen.document({"key": full})
    run.screen.say(f"{full[:12]}: sent when it is next requested")


@command.command(epilog="\b\nExample:\n  memories-async ledger export run.db out.parquet")
@_file
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--state", type=click.Choice(_STATES), help="Only the calls in this state.")
@common
@pass_run
def export(run: CommandRun, path: Path, out: Path, *, state: Any) -> None:
    """Write the ledger to OUT, a .parquet, .csv or .jsonl file."""
    with raise_usage_errors(), Ledger(path) as ledger:
        count = ledger.export(out, state=state)
    run.screen.document({"out": str(out), "entries": count})
    run.screen.say(f"{count:,} entries written to {out}")


def find_key(ledger: Ledger, prefix: str) -> str:
    """Return the key of the one unknown call whose key begins with *prefix*."""
    found = {entry.key for entry in ledger.unknown() if entry.key.startswith(prefix.lower())}
    if len(found) != 1:
        how = "no unknown call has" if not found else f"{len(found)} unknown calls have"
        raise ValueError(f"{how} a key that begins with {prefix!r}")
    return found.pop()


def build_document(entry: Entry) -> dict[str, Any]:
    """Build the part of the JSON document for one entry."""
    document = asdict(entry)
    reply = document.pop("reply")
    asked = json.loads(document.pop("asked"))
    return {**document, "asked": asked, "reply": None if reply is None else repr(reply)}
