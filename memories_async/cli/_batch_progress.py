"""How far a batch is, and what it will cost, for a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from rich.live import Live
from rich.text import Text

from memories_async.batch import Plan, Progress
from memories_async.cli._screen import Screen

TICK = 0.2
"""Seconds between two updates on a terminal."""
EVERY = 10.0
"""Seconds between two lines elsewhere."""


@asynccontextmanager
async def show_progress(screen: Screen, progress: Callable[[], Progress]) -> AsyncGenerator[None]:
    """Show *progress* while the context is open: one live line on a terminal, lines elsewhere."""

    async def update_line() -> None:
        with Live(console=screen.err, auto_refresh=False, transient=True) as live:
            while True:
                text = Text(format_progress(progress()), overflow="ellipsis", no_wrap=True)
                live.update(text, refresh=True)
                await asyncio.sleep(TICK)

    async def write_lines() -> None:
        while True:
            await asyncio.sleep(EVERY)
            screen.err.print(format_progress(progress()), soft_wrap=True)

    if screen.json:
        yield
        return
    task = asyncio.create_task(update_line() if screen.is_live else write_lines())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def format_progress(progress: Progress) -> str:
    """Write *progress* in one line, without what is zero."""
    total = "" if progress.total is None else f"/{progress.total:,}"
    counts = [
        (progress.replayed, "from the ledger"),
        (progress.refused, "refused"),
        (progress.unknown, "unknown"),
        (progress.unsent, "not sent"),
        (progress.in_flight, "in flight"),
    ]
    parts = [f"{progress.finished:,}{total}"]
    parts += [f"{count:,} {what}" for count, what in counts if count]
    parts.append(f"{progress.rate:.1f}/s")
    if progress.points is not None or progress.points_at_risk is not None:
        parts.append(f"{progress.points or 0:g} points")
    if progress.points_at_risk:
        parts.append(f"{progress.points_at_risk:,g} at risk")
    if progress.seconds_left:
        parts.append(f"{format_duration(progress.seconds_left)} left")
    return ", ".join(parts)


def format_duration(seconds: float) -> str:
    """Write a duration in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def list_plan(plan: Plan) -> list[tuple[str, str]]:
    """List what a plan says, without what is zero."""
    billed = ", ".join(f"{count:,} {unit}" for unit, count in plan.by_unit.items())
    facts = [
        ("items", f"{plan.items:,}"),
        ("already paid", f"{plan.paid:,}"),
        ("unknown", f"{plan.unknown:,}"),
        ("paid under another account", f"{plan.paid_elsewhere:,}"),
        ("repeated", f"{plan.repeated:,}"),
        ("unreadable", f"{plan.invalid:,}"),
        ("calls to send", f"{plan.calls:,}" + (f" ({billed})" if billed else "")),
        ("shortest time", format_duration(plan.seconds)),
        ("cost", "unknown: add --price" if plan.points is None else f"{plan.points:g} points"),
    ]
    return [(name, value) for name, value in facts if value != "0"]
