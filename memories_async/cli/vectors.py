"""`memories-async vectors`: what paid embeddings are for. Nothing is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memories_async.cli._options import Group, common
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._screen import count_noun
from memories_async.cli._vector_source import (
    VectorSource,
    raise_vector_errors,
    read_rows,
    source_options,
)

if TYPE_CHECKING:
    from memories_async.vectors import DuplicateGroup, DuplicateKind

_EXAMPLES = """\
\b
Examples:
  memories-async vectors similar run.db re_65
  memories-async vectors calibrate run.db copies.csv
  memories-async vectors duplicates run.db --kind seconds
  memories-async vectors classify run.db labels.csv
  memories-async vectors export run.db vectors.parquet
"""
_KINDS: dict[str, DuplicateKind] = {"film": "same film or scene", "seconds": "same seconds"}
_table = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group, epilog=_EXAMPLES)
@common
def command() -> None:
    """Compare embeddings: similar videos, duplicates, classes.

    SOURCE is a ledger (a file, or a postgresql:// URL), a .parquet file or folder, or a .npy file.
    Its vectors are paid for already: nothing is sent or charged. Needs the extra `vectors`, and for
    Parquet `arrow`.
    """


@command.command(epilog="\b\nExample:\n  memories-async vectors similar run.db re_65 -k 5")
@source_options
@click.argument("key", required=False)
@click.option(
    "--vector",
    type=_table,
    metavar="FILE",
    help="Compare with this vector instead, as `memories-async embed --out` writes it.",
)
@click.option("-k", "count", default=10, show_default=True, help="How many to show.")
@common
@pass_run
def similar(
    run: CommandRun, source: VectorSource, key: str | None, vector: Path | None, count: int
) -> None:
    """List the vectors nearest to KEY.

    The search is exact. A cosine of 1 is the same direction; what is near depends on the model.
    """
    with raise_vector_errors():
        if key is not None and vector is None:
            query = key
        elif vector is not None and key is None:
            query = read_vector(vector)
        else:
            raise ValueError("give either KEY or --vector")
        near = source.load(run).similar(query, count)
    run.screen.document({"query": key or str(vector), "near": [one.to_dict() for one in near]})
    run.screen.table(("key", "cosine>"), [(one.key, f"{one.cosine:.4f}") for one in near])


@command.command(
    epilog="\b\nExamples:\n  memories-async vectors duplicates run.db \\\n      --threshold 0.93\n"
    "  memories-async vectors duplicates run.db --kind seconds"
)
@source_options
@click.option(
    "--threshold",
    type=float,
    metavar="COSINE",
    help="The smallest cosine of a pair; see calibrate.  [default: 0.9; for seconds, 0.98]",
)
@click.option(
    "--kind",
    type=click.Choice([*_KINDS]),
    default="film",
    show_default=True,
    help="Group films and scenes, or only what shows the same seconds.",
)
@common
@pass_run
def duplicates(run: CommandRun, source: VectorSource, threshold: float | None, kind: str) -> None:
    """Group vectors that are near to each other.

    One vector stands for a whole video. Other seconds of one film are as near as copies, so `film`
    groups both; `seconds` groups less and misses copies that were cut, cropped or framed.
    """
    with raise_vector_errors():
        found = source.load(run).duplicates(threshold, kind=_KINDS[kind])
    run.screen.document(found.to_dict())
    rows = [row for number, group in enumerate(found, 1) for row in list_members(number, group)]
    run.screen.table(("group>", "key", "nearest in the group", "cosine>"), rows)
    count = count_noun(len(found), "group")
    run.screen.say(f"{count} of the {found.kind}, at a cosine of {found.threshold:g} or more.")
    run.screen.note(found.note)


@command.command(
    epilog="\b\nExample:\n  memories-async vectors calibrate run.db copies.csv \\\n      --others others.csv"
)
@source_options
@click.argument("copies", type=_table)
@click.option("--others", type=_table, metavar="FILE", help="Pairs that are no copies.")
@click.option(
    "--precision", default=0.99, show_default=True, help="The share of found pairs that are copies."
)
@common
@pass_run
def calibrate(
    run: CommandRun, source: VectorSource, copies: Path, others: Path | None, precision: float
) -> None:
    """Choose the threshold of duplicates by known copies.

    COPIES is a .csv or .jsonl file with the columns `first` and `second`, the keys of two copies a
    row. Without --others, videos that no row connects are taken for no copies of each other.
    """
    with raise_vector_errors():
        known = read_pairs(copies)
        different = None if others is None else read_pairs(others)
        found = source.load(run).calibrate(known, different, precision=precision)
    run.screen.document(found.to_dict())
    run.screen.facts(
        [
            ("threshold", f"{found.threshold:.4f}"),
            ("precision", f"{found.precision:.3f} (at least {found.precision_at_least:.3f})"),
            ("recall", f"{found.recall:.3f} (at least {found.recall_at_least:.3f})"),
            (
                "measured on",
                f"{count_noun(found.copies, 'copy', 'copies')} of {found.groups:,} videos, {found.others:,} others",
            ),
        ]
    )
    if found.note:
        run.screen.say(f"Not to be trusted: {found.note}.")
    run.screen.note(
        f"Use it: memories-async vectors duplicates {source} --threshold {found.threshold:g}"
    )


@command.command(epilog="\b\nExample:\n  memories-async vectors classify run.db labels.csv --json")
@source_options
@click.argument("labels", type=_table)
@click.option("-k", "count", default=5, show_default=True, help="Neighbours that vote.")
@click.option(
    "--min-margin",
    default=0.25,
    show_default=True,
    help="The lead of the first label, of all votes, below which a vector is unsure.",
)
@common
@pass_run
def classify(
    run: CommandRun, source: VectorSource, labels: Path, count: int, min_margin: float
) -> None:
    """Label vectors by their nearest labelled neighbours.

    LABELS is a .csv or .jsonl file with the columns `key` and `label`. The accuracy is that of the
    labelled vectors, each labelled by the others.
    """
    with raise_vector_errors():
        known = {str(row["key"]): str(row["label"]) for row in read_rows(labels, "key", "label")}
        found = source.load(run).classify(known, count, min_margin=min_margin)
    run.screen.document(found.to_dict())
    rows = [(one.key, one.label, f"{one.margin:.2f}", f"{one.nearest:.4f}") for one in found]
    run.screen.table(("key", "label", "margin>", "nearest>"), rows)
    accuracy = "not measured" if found.accuracy is None else f"{found.accuracy:.1%}"
    run.screen.say(
        f"Accuracy on {len(known):,} labelled: {accuracy} of the sure ones; {found.unsure:.1%} unsure."
    )


@command.command(epilog="\b\nExample:\n  memories-async vectors export run.db vectors.npy")
@source_options
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@common
@pass_run
def export(run: CommandRun, source: VectorSource, out: Path) -> None:
    """Write the vectors to OUT, a .parquet, .npy or .faiss file.

    The keys of .npy and .faiss are in a file beside it, such as vectors.keys.json.
    """
    with raise_vector_errors():
        vectors = source.load(run)
        count = vectors.export(out)
    run.screen.document({"out": str(out), "vectors": count, "skipped": dict(vectors.skipped)})
    run.screen.say(f"{count_noun(count, 'vector')} written to {out}")


def read_vector(path: Path) -> Any:
    """Read one vector from a `.npy` or `.json` file."""
    from memories_async import Embedding

    if path.suffix.lower() == ".npy":
        import numpy as np

        return np.load(path, allow_pickle=False)
    try:
        return Embedding.from_dict(json.loads(path.read_text("utf-8")))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name} must have an embedding and its model: {error}") from None


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read the pairs of keys in a table."""
    return [(str(row["first"]), str(row["second"])) for row in read_rows(path, "first", "second")]


def list_members(number: int, group: DuplicateGroup) -> list[tuple[str, str, str, str]]:
    """Build a row for each key of a group, with the key that is nearest to it."""
    nearest: dict[str, tuple[str, float]] = {}
    for pair in group.pairs:  # the nearest first
        nearest.setdefault(pair.first, (pair.second, pair.cosine))
        nearest.setdefault(pair.second, (pair.first, pair.cosine))
    return [(str(number), key, nearest[key][0], f"{nearest[key][1]:.4f}") for key in group.keys]
