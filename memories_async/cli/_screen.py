"""What a command shows: tables for a person, plain text for a pipe, one document for a program.

Answers go to stdout, everything about the way there to stderr. Text that came from elsewhere is
shown, never obeyed: control characters are replaced and rich's markup is switched off.
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

from memories_async.cli._exits import Problem

_JOINERS = "\u200c\u200d"
"""Invisible, harmless, and part of many scripts and emoji."""


def clean(text: str) -> str:
    """Replace what could move a terminal's cursor, recolour it or turn its text around."""
    return "".join(c if c.isprintable() or c in _JOINERS or c == "\n" else _safe(c) for c in text)


def _safe(character: str) -> str:
    return " " if character in "\t\r\x0b\x0c" else "\N{REPLACEMENT CHARACTER}"


class _Console(Console):
    """A console that lets a vanished reader be dealt with in one place."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def _console(*, stderr: bool = False) -> Console:
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False)


@define(eq=False)
class Screen:
    """Where a command writes to."""

    json: bool = False
    """Whether stdout is for one JSON document, and for nothing else."""
    out: Console = field(factory=_console)
    err: Console = field(factory=lambda: _console(stderr=True))

    def say(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Show a line or a paragraph of the answer."""
        if not self.json:
            self._show(Text(clean(text), style=style), indent)

    def facts(self, pairs: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
        """Show names and values in two columns."""
        rows = [(name, value) for name, value in pairs]
        self.table((), rows, indent=indent, dim_first=True)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        indent: int = 0,
        dim_first: bool = False,
    ) -> None:
        """Show *rows* under *columns*; a column called `name>` is of numbers, to the right."""
        cleaned = [[clean(cell) for cell in row] for row in rows]
        if self.json or not cleaned:
            return
        if self.out.is_terminal:
            self._show(_grid(columns, cleaned, dim_first=dim_first), indent)
        else:
            for line in _aligned(columns, cleaned):
                self._write(f"{' ' * indent}{line}")

    def document(self, document: dict[str, Any]) -> None:
        """Write the machine's form of the answer; nothing without `--json`."""
        if self.json:
            self._write(json.dumps(document, allow_nan=False))

    def note(self, text: str) -> None:
        """Tell something about the way to the answer, on stderr."""
        if not self.json:
            self.err.print(Text(clean(text), style="dim"), soft_wrap=not self.err.is_terminal)

    def problem(self, problem: Problem, *, command: str) -> None:
        """Tell what went wrong in one line on stderr, and in the document if one is due."""
        line = Text(f"{command}: ", style="bold") + Text(clean(problem.line()), style="red")
        self.err.print(line, soft_wrap=not self.err.is_terminal)
        self.document(problem.document())

    @contextmanager
    def waiting(self, what: str) -> Generator[None]:
        """Show that something is under way, where somebody is looking."""
        if self.json or not self.err.is_terminal:
            yield
            return
        with self.err.status(Text(clean(what), style="dim")):
            yield

    def _show(self, content: Text | Table, indent: int) -> None:
        if self.out.is_terminal:
            self.out.print(Padding(content, (0, 0, 0, indent)) if indent else content)
        else:
            lines = str(content).split("\n")
            self._write("\n".join(f"{' ' * indent}{line}".rstrip() for line in lines))

    def _write(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        # A reader on a pipe sees each line when it is said, and a vanished one is noticed here.
        sys.stdout.flush()


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], *, dim_first: bool) -> Table:
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


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lay a table out without a terminal: aligned, never cut, whatever the width."""
    lines = [[name.rstrip(">") for name in columns]] if columns else []
    lines += [[cell.replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    right = [name.endswith(">") for name in columns] or [False] * len(widths)
    for line in lines:
        cells = zip(line, widths, right, strict=True)
        yield "  ".join(_filled(*cell) for cell in cells).rstrip()


def _filled(cell: str, width: int, right: bool) -> str:
    blank = " " * (width - cell_len(cell))
    return blank + cell if right else cell + blank
