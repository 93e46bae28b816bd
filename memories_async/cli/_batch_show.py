"""How far a batch has got: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from memories_async.batch import Plan, Progress
from memories_async.cli._screen import Screen

TICK = 0.2
EVERY = 10.0
"""Seconds between two plain lines."""


@asynccontextmanager
async def shown(screen: Screen, progress: Callable[[], Progress]) -> AsyncGenerator[None]:
    """Show *progress* for as long as the context is open."""
    if screen.json:
        yield
        return
    show = _live if screen.err.is_terminal else _plain
    task = asyncio.create_task(show(screen.err, progress))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _live(console: Console, progress: Callable[[], Progress]) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(line(progress()), overflow="ellipsis", no_wrap=True), refresh=True)
            await asyncio.sleep(TICK)


async def _plain(console: Console, progress: Callable[[], Progress]) -> None:
    while True:
        await asyncio.sleep(EVERY)
        console.print(line(progress()), soft_wrap=True)


def line(progress: Progress) -> str:
    """Say it in one line; what is zero is left out."""
    total = "" if progress.total is None else f"/{progress.total:,}"
    counts = [
        f"{progress.finished:,}{total}",
        _some(progress.replayed, "from the ledger"),
        _some(progress.refused, "refused"),
        _some(progress.unknown, "unknown"),
        _some(progress.unsent, "not sent"),
        _some(progress.in_flight, "in flight"),
        f"{progress.rate:.1f}/s",
    ]
    if progress.points is not None or progress.points_at_risk is not None:
        counts.append(f"{progress.points or 0:g} points")
        counts.append(_some(progress.points_at_risk or 0, "at risk"))
    if progress.seconds_left:
        counts.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(filter(None, counts))


def _some(count: float, what: str) -> str:
    return f"{count:,g} {what}" if count else ""


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def plan_facts(plan: Plan) -> list[tuple[str, str]]:
    """What a plan says, for people."""
    billed = ", ".join(f"{count:,} {unit}" for unit, count in plan.by_unit.items())
    facts = [
        ("items", f"{plan.items:,}"),
        ("paid already", f"{plan.paid:,}"),
        ("unknown", f"{plan.unknown:,}"),
        ("repeated", f"{plan.repeated:,}"),
        ("unreadable", f"{plan.invalid:,}"),
        ("calls to send", f"{plan.calls:,}" + (f" ({billed})" if billed else "")),
        ("least time", duration(plan.seconds)),
        ("cost", "prices not given" if plan.points is None else f"{plan.points:g} points"),
    ]
    return [(name, value) for name, value in facts if value != "0"]
