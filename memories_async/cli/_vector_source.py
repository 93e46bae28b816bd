"""Where the vectors of a command come from, and the options that choose among them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from memories_async.cli._options import LedgerPlace, LedgerType, raise_usage_errors
from memories_async.cli._run import CommandRun
from memories_async.cli._screen import count_noun
from memories_async.cli._tables import Columns, Row, read_table

if TYPE_CHECKING:
    from memories_async.vectors import Vectors

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 5
"""Vectors left out that are named."""


@frozen
class VectorSource:
    """A ledger or a file, and which of its vectors are wanted."""

    place: LedgerPlace
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return str(self.place)

    def load(self, run: CommandRun) -> Vectors:
        """Load the vectors, and say which were left out."""
        with raise_vector_errors():
            from memories_async.vectors import Vectors

            path = Path(self.place.given)
            with run.screen.status(f"reading {self.place}"):
                if path.suffix.lower() in {".parquet", ".npy"} or path.is_dir():
                    vectors = Vectors.of(path, **self.options)
                else:
                    with self.place.open() as ledger:
                        vectors = Vectors.of(ledger, **self.options)
        if vectors.skipped:
            named = [f"{key} ({why})" for key, why in vectors.skipped.items()]
            more = "" if len(named) <= _SHOWN else ", ..."
            count = count_noun(len(named), "vector")
            run.screen.note(f"{count} left out: {', '.join(named[:_SHOWN])}{more}")
        return vectors


def source_options(function: F) -> F:
    """Add the argument SOURCE and the options that choose among its vectors, as one `VectorSource`."""

    @functools.wraps(function)
    def call(*args: Any, place: LedgerPlace, **given: Any) -> Any:
        names = ("model", "account", "dimensions", "mixed", "skip_invalid", "dtype", "key_by")
        options = {name: given.pop(name) for name in names}
        return function(*args, source=VectorSource(place, options), **given)

    decorated: Any = call
    for add in (
        click.option("--skip-invalid", is_flag=True, help="Leave out empty and zero vectors."),
        click.option("--mixed", is_flag=True, help="Compare several models and accounts."),
        click.option("--dimensions", type=int, metavar="N", help="Only vectors of N numbers."),
        click.option("--account", metavar="NAME", help="Only vectors of this account."),
        click.option("--model", metavar="NAME", help="Only vectors of this model."),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "float16"]),
            default="float32",
            show_default=True,
            help="How the numbers are stored.",
        ),
        click.option(
            "--key-by",
            type=click.Choice(["asset_id", "item"]),
            default="asset_id",
            show_default=True,
            help="A ledger's vectors go by their asset id, or by the key that a batch gave them.",
        ),
        click.argument("place", metavar="SOURCE", type=LedgerType(exists=True)),
    ):
        decorated = add(decorated)
    result: F = decorated
    return result


@contextmanager
def raise_vector_errors() -> Generator[None]:
    """Turn what is wrong with keys, vectors, files and packages into a usage error."""
    try:
        with raise_usage_errors():
            yield
    except (KeyError, ImportError, OSError) as error:
        message, context = str(error), click.get_current_context(silent=True)
        if isinstance(error, KeyError):
            message = str(error.args[0])
            if context is not None and context.params.get("key_by") == "asset_id":
                message += "; --key-by item goes by the keys of a batch"
        raise click.UsageError(message, context) from error


def read_rows(path: Path, *names: str) -> list[Row]:
    """Read a table that has the columns *names*, none of them empty."""
    rows = [*read_table(path, Columns(required=tuple((name,) for name in names)), ())]
    for number, row in enumerate(rows, 1):
        missing = [name for name in names if name not in row]
        if missing:
            raise ValueError(f"{path.name}, row {number}: {missing[0]} is empty")
    return rows
