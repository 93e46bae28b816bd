"""What a command writes: tables on a terminal, plain text on a pipe, one JSON document for a program.

Answers go to stdout, everything else to stderr. Text from elsewhere is never interpreted: control
characters are replaced, and rich's markup is off.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from attrs import define, field
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from memories_async._protocol.call import Progress
from memories_async.cli._exits import Problem

_JOINERS = "\u200c\u200d"
"""Invisible and harmless: many scripts and emoji need them."""
_BLANKS = "\t\r\x0b\x0c"


def clean(text: str) -> str:
    """Replace what could move a terminal's cursor, recolour it or reverse its text."""

    def replace(c: str) -> str:
        if c.isprintable() or c in _JOINERS or c == "\n":
            return c
        return " " if c in _BLANKS else "\N{REPLACEMENT CHARACTER}"

    return "".join(map(replace, text))


class _Console(Console):
    """A console that raises `BrokenPipeError`, where rich would exit with 1."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def format_points(points: float) -> str:
    """Write an amount of points in full, with commas."""
    return f"{points:,.12g}"


def count_noun(count: int, noun: str, plural: str | None = None) -> str:
    """Write a number of things, such as `1 clip` or `1,200 clips`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def make_console(*, stderr: bool = False) -> Console:
    """Make a console without highlighting, markup and emoji codes."""
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)


@define(eq=False)
class Screen:
    """Stdout and stderr of a command."""

    json: bool = False
    """Whether stdout gets one JSON document and nothing else."""
    out: Console = field(factory=make_console)
    err: Console = field(factory=lambda: make_console(stderr=True))

    @property
    def is_live(self) -> bool:
        """Whether stderr is a terminal on which progress can be shown."""
        return self.err.is_terminal and not self.json

    @property
    def width(self) -> int:
        """Columns of the terminal on stdout; a pipe has no limit."""
        return self.out.width if self.out.is_terminal else 10_000

    def say(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Write a line or a paragraph of the answer."""
        if self.json:
            return
        content = Text(clean(text), style=style)
        if self.out.is_terminal:
            self.out.print(Padding(content, (0, 0, 0, indent)) if indent else content)
        else:
            lines = str(content).split("\n")
            self._write("\n".join(f"{' ' * indent}{line}".rstrip() for line in lines))

    def facts(self, pairs: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
        """Write names and values in two columns."""
        self.table((), list(pairs), indent=indent, dim_first=True)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        indent: int = 0,
        dim_first: bool = False,
    ) -> None:
        """Write *rows* under *columns*; a column named `name>` is aligned to the right."""
        cells = [[clean(cell) for cell in row] for row in rows]
        if self.json or not cells:
            return
        if self.out.is_terminal:
            table = build_table(columns, cells, dim_first=dim_first)
            self.out.print(Padding(table, (0, 0, 0, indent)) if indent else table)
        else:
            for line in align_columns(columns, cells):
                self._write(f"{' ' * indent}{line}")

    def document(self, document: dict[str, Any]) -> None:
        """Write the JSON document; nothing without `--json`."""
        if self.json:
            self._write(json.dumps(document, allow_nan=False))

    def note(self, text: str) -> None:
        """Write a remark to stderr."""
        if not self.json:
            self.err.print(Text(clean(text), style="dim"), soft_wrap=not self.err.is_terminal)

    def problem(self, problem: Problem, *, command: str) -> None:
        """Write an error in one line to stderr, and the JSON document with `--json`."""
        line = Text(f"{command}: ", style="bold") + Text(clean(problem.line()), style="red")
        self.err.print(line, soft_wrap=not self.err.is_terminal)
        self.document(problem.document())

    @contextmanager
    def status(self, what: str) -> Generator[None]:
        """Show a spinner beside *what* on a terminal."""
        if not self.is_live:
            yield
            return
        with self.err.status(Text(clean(what), style="dim")):
            yield

    @contextmanager
    def upload_bar(self, name: str) -> Generator[Progress | None]:
        """Show a progress bar for the upload of the file *name*; yields what the upload calls."""
        if not self.is_live:
            yield None
            return
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}", markup=False),
            *(bars.BarColumn(), bars.DownloadColumn()),
            *(bars.TransferSpeedColumn(), bars.TimeRemainingColumn()),
        )
        with bars.Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(clean(name), total=None)

            def update(sent: int, size: int) -> None:
                bar.update(task, completed=sent, total=size)

            yield update

    @contextmanager
    def count_bar(self, name: str) -> Generator[Progress | None]:
        """Show a progress bar of things that are done one by one; yields what to call."""
        if not self.is_live:
            yield None
            return
        from rich import progress as bars

        with bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            console=self.err,
            transient=True,
        ) as bar:
            task = bar.add_task(clean(name), total=None)
            yield lambda done, count: bar.update(task, completed=done, total=count)

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        # A reader on a pipe sees each line at once; one that is gone is noticed here.
        sys.stdout.flush()


def build_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, dim_first: bool) -> Table:
    """Build the table for a terminal."""
    table = Table(box=None, show_header=bool(columns), header_style="dim", pad_edge=False)
    for at in range(len(rows[0])):
        name = columns[at] if columns else ""
        table.add_column(
            Text(name.rstrip(">")),
            justify="right" if name.endswith(">") else "left",
            style="dim" if dim_first and at == 0 else "",
            no_wrap=at == 0 or name.endswith(">"),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def align_columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Align a table for a pipe: one line a row, never cut."""
    lines = [[name.rstrip(">") for name in columns]] if columns else []
    lines += [[cell.replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    is_right = [name.endswith(">") for name in columns] or [False] * len(widths)
    for line in lines:
        cells: list[str] = []
        for cell, width, right in zip(line, widths, is_right, strict=True):
            blank = " " * (width - cell_len(cell))
            cells.append(blank + cell if right else cell + blank)
        yield "  ".join(cells).rstrip()
