"""How far a batch is, and what it will cost, for a person."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from attrs import define, field
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from memories_async.batch import Plan, Progress
from memories_async.cli._screen import Screen, format_points

TICK = 0.2
"""Seconds between two updates on a terminal."""
EVERY = 10.0
"""Seconds between two lines elsewhere."""
_BAR, _SMALL = 40, 12
"""Columns of the bar at most, and at least beside its text."""


@define(eq=False)
class Stop:
    """The wait for the requests in flight after an interrupt: how long it may take and has taken."""

    drain: float | None
    """Seconds at most; None until each request has ended."""
    begun: float | None = field(default=None, init=False)

    @property
    def limit(self) -> str:
        """How long the wait may take."""
        if self.drain is None:
            return "until each has ended or timed out (MEMORIES_TIMEOUT)"
        return f"at most {format_duration(self.drain)}"

    def begin(self) -> None:
        """Note the time of the interrupt."""
        self.begun = time.monotonic()

    def describe(self, progress: Progress, *, replayed: str = "from the ledger") -> str:
        """Write *progress* in one line, and how long the wait takes once it has begun."""
        if self.begun is None:
            return format_progress(progress, replayed=replayed)
        passed, line = time.monotonic() - self.begun, f"{progress.in_flight:,} in flight"
        if self.drain is None:
            return f"stopping: {line}, for {format_duration(passed)}"
        return f"stopping: {line}, {format_duration(max(0.0, self.drain - passed))} left"


@asynccontextmanager
async def show_progress(
    screen: Screen, progress: Callable[[], Progress], stop: Stop
) -> AsyncGenerator[None]:
    """Show *progress* while the context is open: a bar on a terminal, lines elsewhere."""

    async def update_bar() -> None:
        with Live(console=screen.err, auto_refresh=False, transient=True) as live:
            while True:
                live.update(draw_progress(progress(), screen.err.width, stop), refresh=True)
                await asyncio.sleep(TICK)

    async def write_lines() -> None:
        while True:
            await asyncio.sleep(EVERY)
            screen.err.print(stop.describe(progress()), soft_wrap=True)

    if screen.json:
        yield
        return
    task = asyncio.create_task(update_bar() if screen.is_live else write_lines())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def draw_progress(progress: Progress, width: int, stop: Stop) -> Table:
    """Draw a bar with the counts beside it, or below it where *width* is too small for both."""
    line = stop.describe(progress, replayed="replayed")
    text = Text(line, overflow="ellipsis", no_wrap=True)
    room = width - len(text) - 2
    size = min(_BAR, room if room >= _SMALL else width)
    total = progress.total
    bar = ProgressBar(
        total=total or 1, completed=progress.finished, width=size, pulse=total is None
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    if room >= _SMALL:
        table.add_row(bar, text)
    else:
        table.add_row(bar)
        table.add_row(text)
    return table


def format_progress(progress: Progress, *, replayed: str = "from the ledger") -> str:
    """Write *progress* in one line, without what is zero."""
    total = "" if progress.total is None else f"/{progress.total:,}"
    counts = [
        (progress.replayed, replayed),
        (progress.refused, "refused"),
        (progress.unknown, "unknown"),
        (progress.unsent, "not sent"),
        (progress.in_flight, "in flight"),
        (progress.waiting, "being processed"),
    ]
    parts = [f"{progress.finished:,}{total}"]
    parts += [f"{count:,} {what}" for count, what in counts if count]
    parts.append(f"{progress.rate:.1f}/s")
    if progress.points is not None or progress.points_at_risk is not None:
        parts.append(f"{format_points(progress.points or 0)} points")
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


def list_plan(plan: Plan, prices: Mapping[str, float]) -> list[tuple[str, str]]:
    """List what a plan says, without what is zero; *prices* are those that were given."""
    missing = " ".join(f"--price {unit}=POINTS" for unit in plan.by_unit if unit not in prices)
    billed = ", ".join(f"{count:,} {unit}" for unit, count in plan.by_unit.items())
    facts = [
        ("items", f"{plan.items:,}"),
        ("already paid", f"{plan.paid:,}"),
        ("unknown", f"{plan.unknown:,}"),
        ("paid under another account", f"{plan.paid_elsewhere:,}"),
        ("repeated", f"{plan.repeated:,}"),
        ("unreadable", f"{plan.invalid:,}"),
        ("calls to send", f"{plan.calls:,}" + (f" ({billed})" if billed else "")),
        ("uploads among them", f"{plan.uploads:,}"),
        ("shortest time", format_duration(plan.seconds)),
        ("cost", f"unknown: add {missing or '--price'}"),
    ]
    if plan.points is not None:
        facts[-1] = ("cost", f"{format_points(plan.points)} points")
    return [(name, value) for name, value in facts if value != "0"]
