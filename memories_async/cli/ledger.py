"""`memories-async ledger`: look into a ledger, settle what is unknown, export it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from memories_async.cli._group import Group
from memories_async.cli._options import common
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.ledger import Entry, Ledger, State

_EXAMPLES = """\
\b
Examples:
  memories-async ledger summary run.db
  memories-async ledger unknown run.db
  memories-async ledger settle run.db 3fa2c1 --not-paid
  memories-async ledger settle run.db 3fa2c1 --paid --answer '{"task_id": "8e03"}'
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
    """Look into the record of a batch, settle unknown calls, export.

    A KEY may be shortened as long as it means one unknown call.
    """


@command.command(epilog="Example: memories-async ledger summary run.db")
@_file
@common
@pass_run
def summary(run: Run, path: Path) -> None:
    """Count the calls by their state, and add up what they cost."""
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


@command.command(epilog="Example: memories-async ledger unknown run.db")
@_file
@common
@pass_run
def unknown(run: Run, path: Path) -> None:
    """List the calls that were sent and not answered: perhaps charged."""
    with Ledger(path) as ledger:
        found = ledger.unknown()
    run.screen.document({"unknown": [_shown(entry) for entry in found]})
    if not found:
        run.screen.say("Nothing is unknown.")
    run.screen.table(
        ("key", "item", "call", "sent", "requests>", "why"),
        [
            (
                entry.key[:12],
                entry.item or "",
                entry.call,
                _moment(entry.sent_at),
                str(entry.attempts),
                entry.message or "",
            )
            for entry in found
        ],
    )


@command.command(epilog="Example: memories-async ledger settle run.db 3fa2c1 --not-paid")
@_file
@click.argument("key")
@click.option("--paid/--not-paid", required=True, help="What the account says.")
@click.option("--answer", metavar="JSON", help="The `data` of the service's reply, if it is known.")
@common
@pass_run
def settle(run: Run, path: Path, key: str, *, paid: bool, answer: str | None) -> None:
    """Say what became of an unknown call; the account's book tells.

    With --paid and --answer the ledger gives that answer from then on; with --not-paid the call is
    sent again when it is next asked for. KEY is from `memories-async ledger unknown`.
    """
    with arguments(), Ledger(path) as ledger:
        data = None if answer is None else json.loads(answer)
        full = _full(ledger, key)
        ledger.settle(full, paid=paid, answer=data)
    run.screen.document({"key": full, "paid": paid})
    run.screen.say(f"{full[:12]}: {'paid' if paid else 'not paid, and sent again when asked for'}")


@command.command(epilog="Example: memories-async ledger retry run.db 3fa2c1")
@_file
@click.argument("key")
@common
@pass_run
def retry(run: Run, path: Path, key: str) -> None:
    """Let an unknown call be sent again, at the risk of paying twice.

    It is sent when it is next asked for, by the same batch for example.
    """
    with arguments(), Ledger(path) as ledger:
        full = _full(ledger, key)
        ledger.retry(full)
    run.screen.document({"key": full})
    run.screen.say(f"{full[:12]}: sent again when asked for")


@command.command(epilog="Example: memories-async ledger export run.db out.parquet --state done")
@_file
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--state", type=click.Choice(_STATES), help="Only the calls in this state.")
@common
@pass_run
def export(run: Run, path: Path, out: Path, *, state: Any) -> None:
    """Write the ledger to OUT, a .parquet, .csv or .jsonl file."""
    with arguments(), Ledger(path) as ledger:
        count = ledger.export(out, state=state)
    run.screen.document({"out": str(out), "entries": count})
    run.screen.say(f"{count:,} entries written to {out}")


def _full(ledger: Ledger, key: str) -> str:
    """Find the unknown call whose key begins with *key*."""
    found = {entry.key for entry in ledger.unknown() if entry.key.startswith(key.lower())}
    if len(found) != 1:
        how = "no unknown call has" if not found else f"{len(found)} unknown calls have"
        raise ValueError(f"{how} a key that begins with {key!r}")
    return found.pop()


def _shown(entry: Entry) -> dict[str, Any]:
    document = asdict(entry)
    reply = document.pop("reply")
    asked = json.loads(document.pop("asked"))
    return {**document, "asked": asked, "reply": None if reply is None else repr(reply)}


def _moment(seconds: float | None) -> str:
    when = datetime.fromtimestamp(seconds or 0.0).astimezone()
    return when.isoformat(" ", "seconds")
