"""Reading a table of items, a `.csv` or `.jsonl` file, strictly: a damaged one is refused as a whole."""

from __future__ import annotations

import csv
import difflib
import json
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from attrs import frozen

from memories_async._protocol import wire_json

Row = Mapping[str, Any]

_DELIMITERS = ",;\t|"
_PROMPTS = frozenset({"prompt", "user_prompt", "system_prompt"})
"""Columns whose text may have several lines."""
_SIMILAR = 0.75


@frozen(kw_only=True)
class Columns:
    """The columns that a command reads."""

    required: tuple[tuple[str, ...], ...]
    """Groups of names; a table must have one name of each group."""
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """All names, and `key`, the user's own name for a row."""
        return frozenset(
            {"key", *self.optional, *(name for names in self.required for name in names)}
        )

    def check(self, names: Collection[str], given: Collection[str]) -> None:
        """Check the names of a table's columns; *given* are options that fill in a column.

        Raises `ValueError` for two columns of one name, for a required one that is missing, and for
        a name that is probably misspelt, with the columns found and the nearest name.
        """
        twice = sorted({name for name in names if name and [*names].count(name) > 1})
        if twice:
            raise ValueError(f"there are two columns named {twice[0]!r}")
        found = f"the columns are {', '.join(filter(None, names)) or 'empty'}"
        for group in self.required:
            if not {*group} & {*names, *given}:
                wanted = " or ".join(map(repr, group))
                near = find_similar(group[0], [name for name in names if name not in self.known])
                hint = f"; rename {near!r}" if near else ""
                raise ValueError(f"there is no column {wanted}: {found}{hint}")
        for name in names:
            near = None if name in self.known else find_similar(name, self.known - {*names})
            if near is not None:
                raise ValueError(f"the column {name!r} is unknown: did you mean {near!r}?")


def find_similar(name: str, among: Collection[str]) -> str | None:
    """Return the name in *among* that is most like *name*, or None."""
    plain = {one.lower().replace(" ", "_"): one for one in among}
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), plain, n=1, cutoff=_SIMILAR)
    return plain[near[0]] if near else None


def read_table(path: Path, columns: Columns, given: Collection[str]) -> Iterator[Row]:
    """Read the rows of *path*, without their empty cells. Raises `ValueError` or `OSError`."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError("it must be a .csv or .jsonl file")
    try:
        for line, row in read(path, columns, given):
            for name, value in row.items():
                check_text(name, value, line)
            yield {name: value for name, value in row.items() if value not in (None, "")}
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}): save it as UTF-8") from None


def check_text(name: str, value: Any, line: int) -> None:
    """Refuse control characters: an id with one would be another id, and be paid for."""
    if not isinstance(value, str):
        return
    allowed = "\n\r\t" if name in _PROMPTS else ""
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in allowed:
            raise ValueError(f"line {line}: {name} has the control character {character!r}")


def read_csv(path: Path, columns: Columns, given: Collection[str]) -> Iterator[tuple[int, Row]]:
    """Read a `.csv` file with a header, separated by commas, semicolons, tabs or bars."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, skipped = file.readline(), 0
        if first.lower().startswith("sep="):  # a spreadsheet's own note
            first, skipped = file.readline(), 1
        delimiter = choose_delimiter(first, columns.known)
        reader = csv.reader(chain((first,), file), delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(reader, list[str]())]
            columns.check(names, given)
            for cells in reader:
                line = reader.line_num + skipped
                if len(cells) == len(names):
                    yield line, join_cells(names, cells, line)
                elif cells:
                    count = f"{len(cells)} cells, and the header has {len(names)}"
                    raise ValueError(f"line {line}: there are {count}")
        except csv.Error as error:
            line = reader.line_num + skipped
            raise ValueError(f"line {line}: {error} (is a quote not closed?)") from None


def join_cells(names: list[str], cells: list[str], line: int) -> Row:
    """Pair the names with the cells; columns without a name must be empty."""
    stray = [cell for name, cell in zip(names, cells, strict=True) if cell and not name]
    if stray:
        raise ValueError(f"line {line}: {stray[0]!r} stands in a column without a name")
    return {name: cell for name, cell in zip(names, cells, strict=True) if name}


def choose_delimiter(header: str, known: Collection[str]) -> str:
    """Choose the delimiter with which the header has most known columns, then most columns."""

    def count(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"') for name in header.split(delimiter)]
        return sum(name in known for name in names), len(names)

    return max(_DELIMITERS, key=count)


def read_jsonl(path: Path, columns: Columns, _: Collection[str]) -> Iterator[tuple[int, Row]]:
    """Read a `.jsonl` file, one JSON object a line."""
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row: object = json.loads(text, object_pairs_hook=join_pairs)
            except RecursionError:
                raise ValueError(f"line {line}: the JSON is nested too deeply") from None
            except ValueError as error:
                raise ValueError(f"line {line}: {error}") from None
            if not wire_json.is_object(row):
                raise ValueError(f"line {line}: every line must be a JSON object")
            for name in row:
                near = None if name in columns.known else find_similar(name, columns.known - {*row})
                if near is not None:
                    message = f"the name {name!r} is unknown: did you mean {near!r}?"
                    raise ValueError(f"line {line}: {message}")
            yield line, row


def join_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object; of two equal names, Python would keep the last."""
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"there are two values named {twice[0]!r}")
    return dict(pairs)


_READERS: dict[str, Callable[[Path, Columns, Collection[str]], Iterator[tuple[int, Row]]]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
}
